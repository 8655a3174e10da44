//! Carries frames between the machines' links: a thread with a packet socket on the other end of each.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::lines::{Line, Lines, Port};

/// More than any frame: links carry 1500 bytes and their headers.
const FRAME: usize = 2048;

/// Dropping it ends the thread.
pub(super) struct Switch {
    shared: Arc<Shared>,
    thread: Runtime,
}

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    links: Mutex<HashMap<Port, Arc<AsyncFd<Socket>>>>,
    /// There may be something that arrives earlier than what is waited for.
    sent: Notify,
}

impl Switch {
    pub(super) fn start() -> Self {
        let thread = Builder::new_multi_thread().worker_threads(1).thread_name("switch").enable_all().build();
        let (shared, thread) = (Arc::new(Shared::default()), thread.expect("a thread can be started"));
        thread.spawn(deliver_late(shared.clone()));
        Self { shared, thread }
    }

    /// Carries what comes and goes by this socket from now on.
    pub(super) fn add(&self, port: Port, link: Socket) {
        let _inside = self.thread.enter();
        let link = Arc::new(polled(link).expect("a socket can be polled"));
        self.shared.lines.lock().add(port);
        self.shared.links.lock().insert(port, link.clone());
        self.thread.spawn(receive(self.shared.clone(), port, link));
    }

    pub(super) fn lines(&self) -> MutexGuard<'_, Lines> {
        self.shared.lines.lock()
    }

    /// For all that is sent from now on, and nothing that was sent before.
    pub(super) fn set(&self, from: Port, to: Port, line: Line) {
        let sender = self.shared.links.lock().get(&from).cloned();
        if let Some(link) = sender {
            let _ = self.shared.take(from, link.get_ref());
        }
        self.shared.lines.lock().set(from, to, line);
    }
}

/// Ends with the link.
async fn receive(shared: Arc<Shared>, port: Port, link: Arc<AsyncFd<Socket>>) {
    while let Ok(mut ready) = link.readable().await {
        if let Ok(Err(_)) = ready.try_io(|link| shared.take(port, link.get_ref())) {
            return;
        }
    }
}

async fn deliver_late(shared: Arc<Shared>) {
    loop {
        let next = shared.lines.lock().next_arrival();
        match next {
            None => shared.sent.notified().await,
            Some(arrival) => tokio::select! {
                () = sleep_until(arrival.into()) => shared.deliver(&mut shared.lines.lock()),
                () = shared.sent.notified() => {}
            },
        }
    }
}

impl Shared {
    /// Takes what has been sent, until there is no more: the error says so.
    fn take(&self, from: Port, mut link: &Socket) -> io::Result<()> {
        let mut frame = [0; FRAME];
        let mut lines = self.lines.lock();
        loop {
            let length = link.read(&mut frame)?;
            lines.send(from, &frame[..length], Instant::now());
            self.deliver(&mut lines);
            if lines.next_arrival().is_some() {
                self.sent.notify_one();
            }
        }
    }

    fn deliver(&self, lines: &mut Lines) {
        while let Some((port, frame)) = lines.arrived(Instant::now()) {
            if let Some(link) = self.links.lock().get(&port) {
                // As every switch does, it drops what a full link does not take.
                let _ = link.get_ref().send(&frame);
            }
        }
    }
}

#[allow(unsafe_code, reason = "tokio cannot know whose the descriptor is")]
fn polled(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: the socket owns its descriptor, keeps it until it is dropped, and is never replaced.
    unsafe { AsyncFd::register(socket) }.map_err(io::Error::from)
}

/// A socket that takes and gives whole frames of the link with this number.
pub(super) fn packet_socket(link: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
    socket.set_nonblocking(true)?;
    // From here on it takes all protocols; before, it would have taken those of all links.
    socket.bind(&link_address(link))?;
    Ok(socket)
}

#[allow(unsafe_code, reason = "socket2 knows no addresses of links")]
fn link_address(link: u32) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is the address of the family that it names, and no longer than the storage.
    unsafe {
        let address: &mut libc::sockaddr_ll = storage.view_as();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = link as i32;
        SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as u32)
    }
}
