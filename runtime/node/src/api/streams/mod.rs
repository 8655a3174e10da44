//! `/exec`, `/attach`, `/portForward` and `/podProxy`: connections that are switched to another protocol.
//!
//! A request is checked and answered as any other; what follows on its connection is a session, which belongs to the node
//! and ends with it. Sessions speak WebSocket: exec and attach carry numbered channels in it (`channels.rs`), port-forward
//! carries SPDY (`tunnel.rs`) or channels of its own (`ports.rs`). `/podProxy` is one connection to a Pod, as it is
//! (`pod_proxy.rs`).

mod attach;
mod channels;
mod exec;
mod forward;
mod pod_proxy;
mod port_forward;
mod ports;
mod processes;
mod query;
mod tunnel;
mod upgrade;
mod verdict;

use std::future::Future;
use std::sync::Arc;

use axum::http::StatusCode;
use carob_net::Network;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::Shown;
use crate::console::Console;
use crate::pods::{ContainerBrief, PodView};
use crate::runtime::Container;

pub(super) use attach::attach;
pub(super) use exec::exec;
pub(super) use pod_proxy::pod_proxy;
pub(super) use port_forward::port_forward;

/// Why a request is answered without a session.
type Refusal = (StatusCode, String);

/// The sessions of a node. Cloning shares them.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<JoinSet<()>>>);

impl Sessions {
    fn start(&self, session: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.0.lock();
        while running.try_join_next().is_some() {}
        running.spawn(session);
    }

    /// Ends them all.
    pub(crate) fn end(&self) {
        self.0.lock().abort_all();
    }
}

fn pod(shown: &Shown, namespace: &str, name: &str) -> Result<Arc<PodView>, Refusal> {
    let view = shown.table.get(namespace, name);
    view.ok_or_else(|| (StatusCode::NOT_FOUND, format!("pod {name:?} not found on this node")))
}

/// The network of a Pod that still has one.
fn network(view: &PodView) -> Result<Arc<dyn Network>, Refusal> {
    let name = view.pod.metadata.name.as_deref().unwrap_or_default();
    let ended = || (StatusCode::BAD_REQUEST, format!("pod {name:?} has no network (any more)"));
    view.network.clone().ok_or_else(ended)
}

/// A container that runs, with its standard streams.
fn running(view: &PodView, name: &str) -> Result<(Arc<dyn Container>, Arc<Console>), Refusal> {
    let pod = view.pod.metadata.name.as_deref().unwrap_or_default();
    let find = |brief: &&ContainerBrief| brief.name == name;
    let brief = view.containers.iter().find(find);
    let brief = brief.ok_or_else(|| (StatusCode::NOT_FOUND, format!("container not found ({name:?})")))?;
    match (&brief.running, &brief.console) {
        (Some(container), Some(console)) => Ok((container.clone(), console.clone())),
        _ => Err((StatusCode::BAD_REQUEST, format!("container {name:?} in pod {pod:?} is not running"))),
    }
}
