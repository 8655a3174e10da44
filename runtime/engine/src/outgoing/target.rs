use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use http::uri::Scheme;
use http::{Method, Request};
use wasmtime_wasi_http::{Error, WasiBody};

use super::pool::Key;

/// Whom a request is for.
pub(super) struct Target {
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
}

impl Target {
    pub(super) fn of(request: &Request<WasiBody>) -> Result<Target, Error> {
        // It asks for a tunnel, which is no request to anybody.
        if request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let tls = match request.uri().scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(Error::HttpProtocolError),
        };
        let authority = request.uri().authority().ok_or(Error::HttpRequestUriInvalid)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(Error::HttpRequestUriInvalid);
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Target { host: host.to_owned(), port, tls })
    }

    pub(super) fn key(&self, address: SocketAddr) -> Key {
        Key { address, tls: self.tls.then(|| self.host.clone()) }
    }
}

/// Any local address from which `remote` can be connected to.
pub(super) fn any_port(remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V4(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        SocketAddr::V6(_) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
    }
}
