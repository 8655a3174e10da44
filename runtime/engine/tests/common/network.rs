//! A network of one workload, in memory: the smallest that behaves as [`carob_net::Network`] says. It remembers what it was
//! asked.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use carob_net::{
    Account, Datagram, HttpBound, HttpRoute, HttpService, Network, NetworkError, PipeEnd, TcpConnection, TcpListener,
    TcpOptions, TcpPort, Traffic, UdpOptions, UdpSocket, pipes,
};
use futures::FutureExt;
use futures::future::BoxFuture;

type Result<T> = std::result::Result<T, NetworkError>;

/// Sockets that a workload may have at once.
pub(crate) const MOST_SOCKETS: usize = 64;
const FIRST_FREE_PORT: u16 = 49152;
const DATAGRAMS: usize = 64;

#[derive(Clone, Default)]
pub(crate) struct MemoryNetwork {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    tcp: Mutex<Space<Queue<Result<TcpConnection>>>>,
    udp: Mutex<Space<Queue<Result<Datagram>>>>,
    asked: Mutex<Vec<String>>,
    services: Mutex<HashMap<SocketAddr, Arc<dyn HttpService>>>,
}

impl MemoryNetwork {
    pub(crate) fn asked(&self) -> Vec<String> {
        self.inner.asked.lock().unwrap().clone()
    }

    pub(crate) fn serve(&self, address: &str, service: Arc<dyn HttpService>) {
        self.inner.services.lock().unwrap().insert(address.parse().unwrap(), service);
    }

    fn note(&self, what: String) {
        self.inner.asked.lock().unwrap().push(what);
    }
}

impl Network for MemoryNetwork {
    fn bind_tcp(&self, local: SocketAddr) -> Result<Box<dyn TcpPort>> {
        self.note(format!("bind tcp {local}"));
        let local = self.inner.tcp.lock().unwrap().take(local)?;
        Ok(Box::new(Port { local, network: self.clone() }))
    }

    fn bind_udp(&self, local: SocketAddr) -> Result<Box<dyn UdpSocket>> {
        self.note(format!("bind udp {local}"));
        let local = self.inner.udp.lock().unwrap().take(local)?;
        Ok(Box::new(Socket { local, network: self.clone() }))
    }

    fn serve_http(&self, _: SocketAddr, _: Arc<dyn HttpService>) -> Result<Box<dyn HttpBound>> {
        unreachable!("guests do not call it")
    }

    fn http_route(&self, remote: SocketAddr) -> Result<HttpRoute> {
        self.note(format!("route http {remote}"));
        let service = self.inner.services.lock().unwrap().get(&remote).cloned();
        Ok(service.map_or(HttpRoute::Connect, HttpRoute::InProcess))
    }

    fn resolve(&self, name: &str) -> BoxFuture<'static, Result<Vec<IpAddr>>> {
        self.note(format!("resolve {name}"));
        let found = match name {
            "localhost" => Ok(vec![[127, 0, 0, 1].into()]),
            name => name.parse().map(|ip| vec![ip]).map_err(|_| NetworkError::NameUnresolvable),
        };
        async { found }.boxed()
    }

    fn traffic(&self) -> Traffic {
        unreachable!("guests do not call it")
    }
}

/// The ports of one protocol, and what waits at those that are open.
struct Space<T> {
    taken: HashMap<SocketAddr, Option<T>>,
    next: u16,
}

impl<T> Default for Space<T> {
    fn default() -> Self {
        Space { taken: HashMap::new(), next: FIRST_FREE_PORT }
    }
}

impl<T> Space<T> {
    fn take(&mut self, mut local: SocketAddr) -> Result<SocketAddr> {
        if !local.ip().is_loopback() && !local.ip().is_unspecified() {
            return Err(NetworkError::AddressNotBindable);
        }
        if self.taken.len() >= MOST_SOCKETS {
            return Err(NetworkError::LimitReached);
        }
        if local.port() == 0 {
            local.set_port(self.next);
            self.next += 1;
        }
        if self.taken.keys().any(|other| overlap(*other, local)) {
            return Err(NetworkError::AddressInUse);
        }
        self.taken.insert(local, None);
        Ok(local)
    }

    /// What is open where `remote` leads.
    fn open_at(&mut self, remote: SocketAddr) -> Option<&mut T> {
        let (_, open) = self.taken.iter_mut().find(|(local, _)| overlap(**local, remote))?;
        open.as_mut()
    }
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let ips = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.is_ipv4() == other.is_ipv4() && one.port() == other.port() && ips
}

/// What a socket at `local` is called by whoever it sends to.
fn towards(local: SocketAddr, remote: SocketAddr) -> SocketAddr {
    if local.ip().is_unspecified() { SocketAddr::new(remote.ip(), local.port()) } else { local }
}

struct Queue<T> {
    waiting: VecDeque<T>,
    most: usize,
    reader: Option<Waker>,
}

impl<T> Queue<T> {
    fn of(most: usize) -> Queue<T> {
        Queue { waiting: VecDeque::new(), most, reader: None }
    }

    fn push(&mut self, item: T) -> bool {
        let fits = self.waiting.len() < self.most;
        if fits {
            self.waiting.push_back(item);
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        fits
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        match self.waiting.pop_front() {
            Some(item) => Poll::Ready(item),
            None => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A taken TCP port, whatever it is used for; the connection that was made from it keeps it no longer, in this little one.
struct Port {
    local: SocketAddr,
    network: MemoryNetwork,
}

impl Drop for Port {
    fn drop(&mut self) {
        let gone = self.network.inner.tcp.lock().unwrap().taken.remove(&self.local);
        drop(gone);
    }
}

impl TcpPort for Port {
    fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn listen(self: Box<Self>, backlog: usize) -> Result<Box<dyn TcpListener>> {
        let mut space = self.network.inner.tcp.lock().unwrap();
        space.taken.insert(self.local, Some(Queue::of(backlog)));
        drop(space);
        Ok(self)
    }

    fn connect(self: Box<Self>, remote: SocketAddr, options: TcpOptions) -> BoxFuture<'static, Result<TcpConnection>> {
        async move {
            self.network.note(format!("connect {remote}"));
            let local = towards(self.local, remote);
            let account = Arc::new(Account::new(usize::MAX));
            let (near, far) = pipes(&options, &account, &account);
            let far = connection(remote, local, far);
            let mut space = self.network.inner.tcp.lock().unwrap();
            let taken = space.open_at(remote).is_some_and(|listener| listener.push(Ok(far)));
            drop(space);
            if !taken {
                return Err(NetworkError::ConnectionRefused);
            }
            Ok(connection(local, remote, near))
        }
        .boxed()
    }
}

fn connection(local: SocketAddr, remote: SocketAddr, end: PipeEnd) -> TcpConnection {
    let PipeEnd { transmit, receive, control } = end;
    TcpConnection {
        local,
        remote,
        receive: Box::new(receive),
        transmit: Box::new(transmit),
        control: Box::new(control),
    }
}

impl TcpListener for Port {
    fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn set_backlog(&self, backlog: usize) {
        if let Some(Some(queue)) = self.network.inner.tcp.lock().unwrap().taken.get_mut(&self.local) {
            queue.most = backlog;
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<TcpConnection>> {
        let mut space = self.network.inner.tcp.lock().unwrap();
        space.taken.get_mut(&self.local).and_then(Option::as_mut).expect("it listens").poll(cx)
    }
}

struct Socket {
    local: SocketAddr,
    network: MemoryNetwork,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.network.inner.udp.lock().unwrap().taken.remove(&self.local);
    }
}

impl UdpSocket for Socket {
    fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Result<Datagram>> {
        let mut space = self.network.inner.udp.lock().unwrap();
        space.taken.get_mut(&self.local).expect("it is bound").get_or_insert_with(|| Queue::of(DATAGRAMS)).poll(cx)
    }

    fn poll_send(&self, _: &mut Context<'_>, bytes: &Bytes, to: SocketAddr) -> Poll<Result<()>> {
        if bytes.len() > if to.is_ipv4() { 65_507 } else { 65_527 } {
            return Poll::Ready(Err(NetworkError::DatagramTooLarge));
        }
        let mut space = self.network.inner.udp.lock().unwrap();
        if let Some((_, open)) = space.taken.iter_mut().find(|(local, _)| overlap(**local, to)) {
            let datagram = Datagram { from: towards(self.local, to), bytes: bytes.clone() };
            open.get_or_insert_with(|| Queue::of(DATAGRAMS)).push(Ok(datagram));
        }
        Poll::Ready(Ok(()))
    }

    fn set_options(&self, _: &UdpOptions) -> Result<()> {
        Ok(())
    }
}
