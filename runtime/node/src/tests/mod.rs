mod cluster;
mod ending;
mod kubelet;
mod living;
mod restarting;
mod volumes;
