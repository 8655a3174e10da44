use super::wasi::sockets::network::ErrorCode;
use crate::sockets::convert::address_conversions;
use crate::sockets::error::Code;

address_conversions!(super::wasi::sockets::network);

impl From<Code> for ErrorCode {
    fn from(code: Code) -> ErrorCode {
        match code {
            Code::AccessDenied => ErrorCode::AccessDenied,
            Code::InvalidArgument => ErrorCode::InvalidArgument,
            Code::Timeout => ErrorCode::Timeout,
            Code::ConcurrencyConflict => ErrorCode::ConcurrencyConflict,
            Code::NotInProgress => ErrorCode::NotInProgress,
            Code::WouldBlock => ErrorCode::WouldBlock,
            Code::InvalidState => ErrorCode::InvalidState,
            Code::NewSocketLimit => ErrorCode::NewSocketLimit,
            Code::AddressNotBindable => ErrorCode::AddressNotBindable,
            Code::AddressInUse => ErrorCode::AddressInUse,
            Code::RemoteUnreachable => ErrorCode::RemoteUnreachable,
            Code::ConnectionRefused => ErrorCode::ConnectionRefused,
            Code::ConnectionReset => ErrorCode::ConnectionReset,
            Code::ConnectionAborted => ErrorCode::ConnectionAborted,
            Code::DatagramTooLarge => ErrorCode::DatagramTooLarge,
            Code::NameUnresolvable => ErrorCode::NameUnresolvable,
            Code::TemporaryResolverFailure => ErrorCode::TemporaryResolverFailure,
            Code::Other(_) => ErrorCode::Unknown,
        }
    }
}
