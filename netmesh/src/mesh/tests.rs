//! Pods that talk to each other, as their containers see it.

mod scene;
mod services;
mod tcp;
mod udp;
