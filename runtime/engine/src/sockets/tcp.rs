use std::net::SocketAddr;
use std::sync::Arc;

use carob_net::{NetworkError, TcpConnection, TcpControl, TcpListener, TcpPort};
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::Sockets;
use super::accept::Accepting;
use super::address::Family;
use super::error::Code;
use super::halves::{Receiver, Sender};
use super::options::TcpOptions;

/// A TCP socket, in either version of WASI.
pub struct TcpSocket {
    sockets: Sockets,
    family: Family,
    /// Shared with whoever accepts for this socket, since connections inherit them.
    options: Arc<Mutex<TcpOptions>>,
    state: State,
}

/// Where a socket is on its way. It only goes on from here: what has once failed or connected never listens.
enum State {
    /// To `Bound`, `Listening` or `Connecting`.
    Unbound,
    /// To `Listening` or `Connecting`.
    Bound(Box<dyn TcpPort>),
    /// For good.
    Listening(Arc<dyn TcpListener>),
    /// To `Connected` or `Closed`; whoever began it holds the attempt, which is given up with it.
    Connecting,
    /// For good; each half is given to the guest once.
    Connected {
        local: SocketAddr,
        remote: SocketAddr,
        control: Box<dyn TcpControl>,
        receiver: Option<Receiver>,
        sender: Option<Sender>,
    },
    /// For good, and why.
    Closed(Code),
}

/// An attempt to connect; dropping it gives up.
pub(super) type Connect = BoxFuture<'static, Result<TcpConnection, NetworkError>>;

impl TcpSocket {
    pub(super) fn new(sockets: Sockets, family: Family) -> TcpSocket {
        TcpSocket { sockets, family, options: Arc::default(), state: State::Unbound }
    }

    /// What a listener has accepted, or why that one could not be.
    pub(super) fn accepted(
        sockets: Sockets,
        family: Family,
        options: TcpOptions,
        connection: Result<TcpConnection, Code>,
    ) -> TcpSocket {
        let inherited = connection.and_then(|connection| {
            connection.control.set_options(&options.into())?;
            Ok(State::connected(connection, &sockets))
        });
        let state = inherited.unwrap_or_else(State::Closed);
        TcpSocket { sockets, family, options: Arc::new(Mutex::new(options)), state }
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    pub(super) fn is_bound(&self) -> bool {
        !matches!(self.state, State::Unbound)
    }

    pub(super) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }

    pub(super) fn bind(&mut self, local: SocketAddr) -> Result<(), Code> {
        let State::Unbound = self.state else { return Err(Code::InvalidState) };
        self.family.tcp_local(local)?;
        self.state = State::Bound(self.sockets.network.bind_tcp(local)?);
        Ok(())
    }

    /// Begins to connect; [`TcpSocket::connected`] is to be told how it ended.
    pub(super) fn connect(&mut self, remote: SocketAddr) -> Result<Connect, Code> {
        let (State::Unbound | State::Bound(_)) = self.state else { return Err(Code::InvalidState) };
        self.family.tcp_remote(remote)?;
        let port = self.take_port()?;
        self.state = State::Connecting;
        let options = *self.options.lock();
        Ok(port.connect(remote, options.into()))
    }

    pub(super) fn connected(&mut self, ended: Result<TcpConnection, NetworkError>) -> Result<(), Code> {
        match ended {
            Ok(connection) => {
                self.state = State::connected(connection, &self.sockets);
                Ok(())
            }
            Err(error) => Err(self.close(error.into())),
        }
    }

    /// Begins to listen, at a free port if it has none.
    pub(super) fn listen(&mut self) -> Result<Accepting, Code> {
        let (State::Unbound | State::Bound(_)) = self.state else { return Err(Code::InvalidState) };
        let port = self.take_port()?;
        let listened = port.listen(self.options.lock().backlog);
        let listener: Arc<dyn TcpListener> = listened.map_err(|error| self.close(error.into()))?.into();
        self.state = State::Listening(listener.clone());
        Ok(Accepting::new(listener, self.sockets.clone(), self.family, self.options.clone()))
    }

    pub(super) fn local_address(&self) -> Result<SocketAddr, Code> {
        match &self.state {
            State::Bound(port) => Ok(port.local_address()),
            State::Listening(listener) => Ok(listener.local_address()),
            State::Connected { local, .. } => Ok(*local),
            State::Unbound | State::Connecting => Err(Code::InvalidState),
            State::Closed(code) => Err(code.clone()),
        }
    }

    pub(super) fn remote_address(&self) -> Result<SocketAddr, Code> {
        match &self.state {
            State::Connected { remote, .. } => Ok(*remote),
            State::Closed(code) => Err(code.clone()),
            _ => Err(Code::InvalidState),
        }
    }

    pub(super) fn take_receiver(&mut self) -> Result<Receiver, Code> {
        match &mut self.state {
            State::Connected { receiver, .. } => receiver.take().ok_or(Code::InvalidState),
            State::Closed(code) => Err(code.clone()),
            _ => Err(Code::InvalidState),
        }
    }

    pub(super) fn take_sender(&mut self) -> Result<Sender, Code> {
        match &mut self.state {
            State::Connected { sender, .. } => sender.take().ok_or(Code::InvalidState),
            State::Closed(code) => Err(code.clone()),
            _ => Err(Code::InvalidState),
        }
    }

    pub(super) fn set_backlog(&mut self, value: u64) -> Result<(), Code> {
        let mut options = self.options.lock();
        let mut changed = *options;
        changed.set_backlog(value)?;
        match &self.state {
            State::Unbound | State::Bound(_) => {}
            State::Listening(listener) => listener.set_backlog(changed.backlog),
            State::Connecting | State::Connected { .. } => return Err(Code::InvalidState),
            State::Closed(code) => return Err(code.clone()),
        }
        *options = changed;
        Ok(())
    }

    /// The options; a socket that is on its way to somewhere, or at its end, has none.
    pub(super) fn options(&self) -> Result<TcpOptions, Code> {
        self.has_options()?;
        Ok(*self.options.lock())
    }

    /// Changes the options: of the connection, or of those to come.
    pub(super) fn change(&self, change: impl FnOnce(&mut TcpOptions) -> Result<(), Code>) -> Result<(), Code> {
        self.has_options()?;
        let mut options = self.options.lock();
        let mut changed = *options;
        change(&mut changed)?;
        if let State::Connected { control, .. } = &self.state {
            control.set_options(&changed.into())?;
        }
        *options = changed;
        Ok(())
    }

    fn has_options(&self) -> Result<(), Code> {
        match &self.state {
            State::Connecting => Err(Code::InvalidState),
            State::Closed(code) => Err(code.clone()),
            _ => Ok(()),
        }
    }

    /// The bound port, or any.
    fn take_port(&mut self) -> Result<Box<dyn TcpPort>, Code> {
        match std::mem::replace(&mut self.state, State::Unbound) {
            State::Bound(port) => Ok(port),
            _ => Ok(self.sockets.network.bind_tcp(self.family.unspecified())?),
        }
    }

    fn close(&mut self, code: Code) -> Code {
        self.state = State::Closed(code.clone());
        code
    }
}

impl State {
    fn connected(connection: TcpConnection, sockets: &Sockets) -> State {
        let TcpConnection { local, remote, receive, transmit, control } = connection;
        let (receiver, sender) = (Receiver::new(receive), Sender::new(transmit, sockets.fate.clone()));
        State::Connected { local, remote, control, receiver: Some(receiver), sender: Some(sender) }
    }
}
