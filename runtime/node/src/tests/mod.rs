mod cluster;
mod ending;
mod evicting;
mod kubelet;
mod living;
mod resizing;
mod restarting;
mod volumes;
