//! What goes wrong in the network, in the words of `wasi:http`.

use std::error::Error as _;
use std::io;

use carob_net::{BoxError, NetworkError};
use wasmtime_wasi_http::Error;

pub(super) fn looking_up(error: NetworkError) -> Error {
    let dns = |rcode: &str| Error::DnsError { rcode: Some(rcode.to_owned()), info_code: None };
    match error {
        NetworkError::AccessDenied(_) => Error::HttpRequestDenied,
        NetworkError::NameUnresolvable => dns("NXDOMAIN"),
        NetworkError::ResolverFailure => dns("SERVFAIL"),
        NetworkError::TimedOut => Error::DnsTimeout,
        error => connecting(error),
    }
}

pub(super) fn routing(error: NetworkError) -> Error {
    connecting(error)
}

pub(super) fn connecting(error: NetworkError) -> Error {
    match error {
        NetworkError::AccessDenied(_) => Error::DestinationIpProhibited,
        NetworkError::ConnectionRefused => Error::ConnectionRefused,
        NetworkError::ConnectionReset | NetworkError::ConnectionAborted => Error::ConnectionTerminated,
        NetworkError::RemoteUnreachable => Error::DestinationIpUnroutable,
        NetworkError::TimedOut => Error::ConnectionTimeout,
        // No port is free, or no socket.
        NetworkError::LimitReached | NetworkError::AddressInUse => Error::ConnectionLimitReached,
        other => Error::InternalError(Some(other.to_string())),
    }
}

/// What became of a request on a connection.
pub(super) fn exchanging(error: &hyper::Error) -> Error {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if let Some(error) = io.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref::<NetworkError>()) {
        return connecting(error.clone());
    }
    let cut_off = io.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
    if error.is_incomplete_message() || cut_off {
        Error::HttpResponseIncomplete
    } else if error.is_canceled() || error.is_closed() {
        Error::ConnectionTerminated
    } else if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_user() {
        Error::InternalError(Some(error.to_string()))
    } else {
        Error::HttpProtocolError
    }
}

/// What became of the body of a service of this process; what was ours already stays what it is.
pub(super) fn in_body(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(_) => Error::HttpResponseIncomplete,
    }
}

pub(super) fn in_tls(error: &io::Error) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Error::TlsCertificateError
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            Error::TlsAlertReceived { alert_id: Some(u8::from(*alert)), alert_message: Some(format!("{alert:?}")) }
        }
        _ => Error::TlsProtocolError,
    }
}
