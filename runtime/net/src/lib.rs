//! What a network is, to whoever uses one.
//!
//! Today: the registry of HTTP endpoints, through which a request for a Pod's IP and port reaches the component that
//! serves it, in this process, without a socket.
//!
//! This crate never knows wasmtime or Kubernetes. Start reading at [`HttpEndpoints`].

mod endpoints;
mod http_service;

pub use endpoints::{HttpEndpoints, Registration};
pub use http_service::{Answer, Body, BoxError, HttpService, Refused};
