mod life;
mod scene;
mod tcp;
mod trust;
mod udp;
