use carob_net::NetworkError;
use wasmtime::component::ResourceTableError;

/// What went wrong, as either version of `wasi:sockets` can say it; the words are theirs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Code {
    #[error("access denied")]
    AccessDenied,
    #[error("invalid argument")]
    InvalidArgument,
    #[error("timed out")]
    Timeout,
    #[error("another operation is in progress")]
    ConcurrencyConflict,
    #[error("no such operation is in progress")]
    NotInProgress,
    #[error("not ready yet")]
    WouldBlock,
    #[error("not in this state of the socket")]
    InvalidState,
    #[error("{}", NetworkError::LimitReached)]
    NewSocketLimit,
    #[error("the address cannot be bound")]
    AddressNotBindable,
    #[error("the address is in use")]
    AddressInUse,
    #[error("the remote address cannot be reached")]
    RemoteUnreachable,
    #[error("the connection was refused")]
    ConnectionRefused,
    #[error("the connection was reset")]
    ConnectionReset,
    #[error("the connection was aborted")]
    ConnectionAborted,
    #[error("the datagram is too large")]
    DatagramTooLarge,
    #[error("the name has no address")]
    NameUnresolvable,
    #[error("the resolver did not answer")]
    TemporaryResolverFailure,
    #[error("{0}")]
    Other(String),
}

impl From<NetworkError> for Code {
    fn from(error: NetworkError) -> Code {
        match error {
            NetworkError::AddressInUse => Code::AddressInUse,
            NetworkError::AddressNotBindable => Code::AddressNotBindable,
            NetworkError::AccessDenied(_) => Code::AccessDenied,
            NetworkError::ConnectionRefused => Code::ConnectionRefused,
            NetworkError::ConnectionReset => Code::ConnectionReset,
            NetworkError::ConnectionAborted => Code::ConnectionAborted,
            NetworkError::RemoteUnreachable => Code::RemoteUnreachable,
            NetworkError::TimedOut => Code::Timeout,
            NetworkError::LimitReached => Code::NewSocketLimit,
            NetworkError::DatagramTooLarge => Code::DatagramTooLarge,
            NetworkError::NameUnresolvable => Code::NameUnresolvable,
            NetworkError::ResolverFailure => Code::TemporaryResolverFailure,
            NetworkError::Other(said) => Code::Other(said),
        }
    }
}

/// How a host function fails: with a code that the guest sees, or with a trap that ends it.
#[derive(Debug)]
pub enum Failure {
    Code(Code),
    Trap(wasmtime::Error),
}

impl Failure {
    /// The code, for the guest; a trap stays one.
    pub(super) fn code(self) -> wasmtime::Result<Code> {
        match self {
            Failure::Code(code) => Ok(code),
            Failure::Trap(error) => Err(error),
        }
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Failure {
        Failure::Code(code)
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Failure {
        Failure::Code(error.into())
    }
}

/// A handle that is not in the table, or a table that is full: the guest's bindings are broken, or it hoards.
impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Failure {
        Failure::Trap(error.into())
    }
}

pub(super) type Result<T> = std::result::Result<T, Failure>;
