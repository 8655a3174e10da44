//! Keeps the connection with one other node: does what its [`Link`] says.

use std::collections::HashMap;
use std::error::Error;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use quinn::{Connection, ConnectionError};
use rand::RngExt;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::connected::Connected;
use super::endpoint::{self, DialError, Endpoint};
use super::incoming;
use super::link::{Action, Event, Id, Link};
use super::peer::{Ends, Peer, Standing};
use super::protocol::Close;
use crate::mesh::Shared;

/// Large datagrams that are on their way to one node at once.
const LARGE_AT_ONCE: usize = 64;

/// Keeps the connection with one node. Dropping it cuts off all flows with the node.
pub(crate) struct Keeper {
    node: Arc<Shared>,
    endpoint: Endpoint,
    peer: Arc<Peer>,
    ends: Ends,
    link: Link,
    last_id: Id,
    connections: HashMap<Id, Arc<Connected>>,
    serving: JoinSet<(Id, ConnectionError)>,
    dialling: JoinSet<(SocketAddr, Result<Connection, DialError>)>,
    dial: Option<AbortHandle>,
    retiring: JoinSet<()>,
    sending: JoinSet<()>,
}

impl Keeper {
    pub(crate) fn new(node: Arc<Shared>, endpoint: Endpoint, peer: Arc<Peer>, ends: Ends) -> Keeper {
        let address = *ends.address.borrow();
        let link = Link::new(&endpoint.me, &peer.name, address, rand::rng().random());
        Keeper {
            node,
            endpoint,
            peer,
            ends,
            link,
            last_id: 0,
            connections: HashMap::new(),
            serving: JoinSet::new(),
            dialling: JoinSet::new(),
            dial: None,
            retiring: JoinSet::new(),
            sending: JoinSet::new(),
        }
    }

    /// Keeps it until `stop`, and then closes it.
    pub(crate) async fn run(mut self, datagrams: mpsc::Receiver<Bytes>, stop: CancellationToken) {
        self.sending.spawn(send_datagrams(self.peer.clone(), datagrams));
        while let Some(event) = stop.run_until_cancelled(self.next()).await {
            let now = Instant::now();
            for action in event.map(|event| self.link.on(event, now)).unwrap_or_default() {
                self.execute(action);
            }
        }
        for connected in self.connections.values() {
            endpoint::close(&connected.quic, Close::Removed);
        }
    }

    /// What happens next, if it concerns the link.
    async fn next(&mut self) -> Option<Event> {
        let wakes_at = self.link.wakes_at();
        tokio::select! {
            () = self.ends.wanted.notified() => Some(Event::Wanted),
            Some(quic) = self.ends.arrivals.recv() => Some(Event::Arrived(self.begin(quic))),
            Ok(()) = self.ends.address.changed() => Some(Event::Moved(*self.ends.address.borrow_and_update())),
            // What was given up for another is no event.
            Some(dialled) = self.dialling.join_next() => dialled.ok().map(|(address, outcome)| self.dialled(address, outcome)),
            Some(served) = self.serving.join_next() => served.ok().map(|(id, why)| self.ended(id, &why)),
            Some(_) = self.retiring.join_next() => None,
            () = sleep_until_some(wakes_at) => Some(Event::Woken),
        }
    }

    /// Serves a connection from now on, whether or not it is the one that flows are begun on.
    fn begin(&mut self, quic: Connection) -> Id {
        self.last_id += 1;
        let id = self.last_id;
        tracing::info!(node = %self.peer.name, address = %quic.remote_address(), id, "connected with a node");
        let connected = Connected::new(id, quic, self.node.runtime().clone());
        self.connections.insert(id, connected.clone());
        let served = incoming::serve(self.node.clone(), self.peer.name.clone(), connected);
        self.serving.spawn(async move { (id, served.await) });
        id
    }

    fn dialled(&mut self, address: SocketAddr, outcome: Result<Connection, DialError>) -> Event {
        self.dial = None;
        match outcome {
            Ok(quic) => Event::Dialled(self.begin(quic)),
            Err(error) => {
                let why = chain(&error);
                tracing::warn!(node = %self.peer.name, %address, why, "cannot connect to a node; trying again");
                self.ends.standing.send_if_modified(|standing| match standing {
                    Standing::Up(_) => false,
                    Standing::Idle | Standing::Down(_) => {
                        *standing = Standing::Down(why.into());
                        true
                    }
                });
                Event::Failed
            }
        }
    }

    fn ended(&mut self, id: Id, why: &ConnectionError) -> Event {
        tracing::info!(node = %self.peer.name, id, %why, "a connection with a node has ended");
        self.connections.remove(&id);
        let is_current = matches!(&*self.ends.standing.borrow(), Standing::Up(current) if current.id == id);
        if is_current {
            self.ends.standing.send_replace(Standing::Idle);
        }
        Event::Lost(id)
    }

    fn execute(&mut self, action: Action) {
        match action {
            Action::Dial(address) => self.dial(address),
            Action::Adopt(id) => {
                if let Some(connected) = self.connections.get(&id) {
                    self.ends.standing.send_replace(Standing::Up(connected.clone()));
                }
            }
            Action::Retire(id) => {
                if let Some(connected) = self.connections.get(&id).cloned() {
                    self.retiring.spawn(retire(connected));
                }
            }
        }
    }

    fn dial(&mut self, address: SocketAddr) {
        if let Some(before) = self.dial.take() {
            before.abort();
        }
        let (endpoint, name) = (self.endpoint.clone(), self.peer.name.clone());
        let dialled = async move { (address, endpoint.dial(&name, address).await) };
        self.dial = Some(self.dialling.spawn(dialled));
    }
}

/// Closes a connection when nothing is on it.
async fn retire(connected: Arc<Connected>) {
    tokio::select! {
        () = connected.idle() => endpoint::close(&connected.quic, Close::Duplicate),
        _ = connected.quic.closed() => {}
    }
}

/// Sends what did not fit into a packet, or came before there was a connection.
async fn send_datagrams(peer: Arc<Peer>, mut datagrams: mpsc::Receiver<Bytes>) {
    let mut large = JoinSet::new();
    while let Some(datagram) = datagrams.recv().await {
        let Ok(connected) = peer.connection().await else { continue };
        if connected.send_if_it_fits(&datagram) {
            continue;
        }
        while large.len() >= LARGE_AT_ONCE {
            large.join_next().await;
        }
        while large.try_join_next().is_some() {}
        large.spawn(async move { connected.send_by_stream(datagram).await });
    }
}

async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// An error with all that it comes from.
fn chain(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
