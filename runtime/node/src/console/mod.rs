//! What stands between a running container's standard streams and whoever looks on: its log, and attached clients.

mod outbox;
mod terminal;

use std::sync::Arc;
use std::task::{Context, Poll};

use k8s_openapi::api::core::v1::Container;
use parking_lot::Mutex;

use crate::logs::LogWriter;
use crate::runtime::{Input, Output, Stream};

pub(crate) use outbox::Outbox;
pub(crate) use terminal::{Terminal, Typed};

/// The standard streams of one run of a container.
pub(crate) struct Console {
    log: Arc<LogWriter>,
    input: Input,
    /// The container's `stdin`.
    reads: bool,
    /// The container's `stdinOnce`: its input ends with the first client.
    once: bool,
    terminal: bool,
    clients: Mutex<Clients>,
}

#[derive(Default)]
struct Clients {
    attached: Vec<Arc<Outbox>>,
    ended: bool,
}

impl Console {
    pub(crate) fn new(container: &Container, log: Arc<LogWriter>) -> Arc<Console> {
        let set = |flag: Option<bool>| flag.unwrap_or_default();
        let reads = set(container.stdin);
        Arc::new(Console {
            log,
            input: if reads { Input::open() } else { Input::default() },
            reads,
            once: set(container.stdin_once),
            terminal: set(container.tty),
            clients: Mutex::default(),
        })
    }

    /// What the container reads.
    pub(crate) fn input(&self) -> Input {
        self.input.clone()
    }

    /// Whether the container was given a terminal.
    pub(crate) fn terminal(&self) -> bool {
        self.terminal
    }

    /// A client looks on from now on, and types if `types` and the container reads.
    pub(crate) fn attach(self: Arc<Self>, types: bool) -> Attached {
        let outbox = Outbox::new(self.terminal);
        let mut clients = self.clients.lock();
        if clients.ended {
            outbox.close();
        } else {
            clients.attached.push(outbox.clone());
        }
        drop(clients);
        let types = types && self.reads;
        Attached { console: self, outbox, types }
    }

    /// The container has ended: so does its log, and clients get what is left.
    pub(crate) fn end(&self) {
        let mut clients = self.clients.lock();
        clients.ended = true;
        clients.attached.drain(..).for_each(|outbox| outbox.close());
        self.input.close();
        self.log.end();
    }
}

impl Output for Console {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        self.log.write(stream, bytes);
        self.clients.lock().attached.iter().for_each(|outbox| outbox.write(stream, bytes));
    }

    /// The slowest client is waited for; one that takes nothing at all is cut off by its session.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let clients = self.clients.lock();
        let all = clients.attached.iter().map(|outbox| outbox.poll_ready(cx));
        if all.fold(true, |ready, one| ready & one.is_ready()) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A client of a console. It leaves when this is dropped.
pub(crate) struct Attached {
    console: Arc<Console>,
    pub(crate) outbox: Arc<Outbox>,
    types: bool,
}

impl Attached {
    /// What the client writes to; one that has ended if it may not.
    pub(crate) fn input(&self) -> Input {
        if self.types { self.console.input() } else { Input::default() }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.console.clients.lock().attached.retain(|outbox| !Arc::ptr_eq(outbox, &self.outbox));
        self.outbox.close();
        if self.types && self.console.once {
            self.console.input.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use bytes::Bytes;
    use futures::FutureExt;

    use super::*;
    use crate::logs::LogHub;

    fn console(dir: &tempfile::TempDir, container: Container) -> Arc<Console> {
        let log = LogHub::default().create(dir.path().join("0.log"), Default::default()).unwrap();
        Console::new(&container, Arc::new(log))
    }

    #[tokio::test]
    async fn the_log_and_every_client_get_what_is_printed_until_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let console = console(&dir, Container::default());
        console.write(Stream::Stdout, b"before\n");
        let (one, two) = (console.clone().attach(false), console.clone().attach(false));
        console.write(Stream::Stdout, b"both\n");
        drop(one);
        console.end();
        assert_eq!(two.outbox.next().await, Some((Stream::Stdout, Bytes::from_static(b"both\n"))));
        assert_eq!(two.outbox.next().await, None);
        assert_eq!(console.attach(false).outbox.next().await, None, "who comes too late is told so");
        assert_eq!(std::fs::read_to_string(dir.path().join("0.log")).unwrap().lines().count(), 2);
    }

    #[tokio::test]
    async fn a_container_waits_for_a_slow_client_until_it_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let console = console(&dir, Container::default());
        let slow = console.clone().attach(false);
        console.write(Stream::Stdout, &vec![b'x'; 1 << 20]);
        assert!(poll_fn(|cx| console.poll_ready(cx)).now_or_never().is_none());
        drop(slow);
        assert!(poll_fn(|cx| console.poll_ready(cx)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn input_ends_with_the_first_client_only_if_the_container_says_so() {
        let dir = tempfile::tempdir().unwrap();
        for (stdin, once, types, open_before, open_after) in [
            (false, false, true, false, false),
            (true, false, true, true, true),
            (true, true, true, true, false),
            (true, true, false, true, true),
        ] {
            let container = Container { stdin: Some(stdin), stdin_once: Some(once), ..Container::default() };
            let console = console(&dir, container);
            let attached = console.clone().attach(types);
            let open = async || console.input().write(Bytes::from_static(b"x")).await.is_ok();
            assert_eq!(attached.input().write(Bytes::new()).await.is_ok(), stdin && types);
            assert_eq!(open().await, open_before);
            drop(attached);
            assert_eq!(open().await, open_after, "{stdin} {once} {types}");
        }
    }
}
