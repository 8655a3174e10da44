use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::HttpService;
use crate::network::{HttpBound, HttpRoute, Network, NetworkError, TcpPort, Traffic, UdpSocket};

/// The network of a workload that has none: everything is denied.
pub struct Unplugged;

fn denied() -> NetworkError {
    NetworkError::AccessDenied("this workload has no network".into())
}

impl Network for Unplugged {
    fn bind_tcp(&self, _: SocketAddr) -> Result<Box<dyn TcpPort>, NetworkError> {
        Err(denied())
    }

    fn bind_udp(&self, _: SocketAddr) -> Result<Box<dyn UdpSocket>, NetworkError> {
        Err(denied())
    }

    fn serve_http(&self, _: SocketAddr, _: Arc<dyn HttpService>) -> Result<Box<dyn HttpBound>, NetworkError> {
        Err(denied())
    }

    fn http_route(&self, _: SocketAddr) -> Result<HttpRoute, NetworkError> {
        Err(denied())
    }

    fn resolve(&self, _: &str) -> BoxFuture<'static, Result<Vec<IpAddr>, NetworkError>> {
        async { Err(denied()) }.boxed()
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}
