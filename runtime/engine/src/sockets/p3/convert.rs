use super::ip_name_lookup;
use super::types::ErrorCode;
use crate::sockets::convert::address_conversions;
use crate::sockets::error::Code;

address_conversions!(super::types);

impl From<Code> for ErrorCode {
    fn from(code: Code) -> ErrorCode {
        match code {
            Code::AccessDenied => ErrorCode::AccessDenied,
            Code::InvalidArgument => ErrorCode::InvalidArgument,
            Code::Timeout => ErrorCode::Timeout,
            Code::InvalidState | Code::ConcurrencyConflict | Code::NotInProgress => ErrorCode::InvalidState,
            Code::AddressNotBindable => ErrorCode::AddressNotBindable,
            Code::AddressInUse => ErrorCode::AddressInUse,
            Code::RemoteUnreachable => ErrorCode::RemoteUnreachable,
            Code::ConnectionRefused => ErrorCode::ConnectionRefused,
            Code::ConnectionReset => ErrorCode::ConnectionReset,
            Code::ConnectionAborted => ErrorCode::ConnectionAborted,
            Code::DatagramTooLarge => ErrorCode::DatagramTooLarge,
            Code::NewSocketLimit => ErrorCode::Other(Some("new-socket-limit".into())),
            Code::WouldBlock | Code::NameUnresolvable | Code::TemporaryResolverFailure | Code::Other(_) => {
                ErrorCode::Other(Some(code.to_string()))
            }
        }
    }
}

impl From<Code> for ip_name_lookup::ErrorCode {
    fn from(code: Code) -> ip_name_lookup::ErrorCode {
        match code {
            Code::AccessDenied => ip_name_lookup::ErrorCode::AccessDenied,
            Code::InvalidArgument => ip_name_lookup::ErrorCode::InvalidArgument,
            Code::NameUnresolvable => ip_name_lookup::ErrorCode::NameUnresolvable,
            Code::TemporaryResolverFailure => ip_name_lookup::ErrorCode::TemporaryResolverFailure,
            other => ip_name_lookup::ErrorCode::Other(Some(other.to_string())),
        }
    }
}
