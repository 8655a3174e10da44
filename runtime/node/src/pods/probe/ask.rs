//! Asks a probe once.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Probe, TCPSocketAction};

use super::{exec, grpc, http, seconds};
use crate::pods::reach::Reach;

/// What a probe was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Good,
    /// It counts as good, though it is odd.
    Warning(String),
    Bad(String),
    /// It could not even be asked. As with a kubelet that is told, and counts for nothing.
    Error(String),
}

impl Answer {
    /// Whether it counts as good, if it counts.
    pub(crate) fn decides(&self) -> Option<bool> {
        match self {
            Answer::Good | Answer::Warning(_) => Some(true),
            Answer::Bad(_) => Some(false),
            Answer::Error(_) => None,
        }
    }
}

/// Asks once, and waits for as long as the probe says.
pub(crate) async fn ask(reach: &Reach, probe: &Probe) -> Answer {
    let timeout = seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1));
    if let Some(command) = &probe.exec {
        return exec::ask(reach, command.command.as_deref().unwrap_or_default(), timeout).await;
    }
    if let Some(get) = &probe.http_get {
        return http::ask(reach, get, timeout).await;
    }
    if let Some(socket) = &probe.tcp_socket {
        return tcp(reach, socket, timeout).await;
    }
    match &probe.grpc {
        Some(action) => grpc::ask(reach, action, timeout).await,
        None => Answer::Error("missing probe handler".to_owned()),
    }
}

/// A port that can be connected to is all that it wants to know.
async fn tcp(reach: &Reach, socket: &TCPSocketAction, timeout: Duration) -> Answer {
    let address = match reach.address(socket.host.as_deref(), &socket.port).await {
        Ok(address) => address,
        Err(error) => return Answer::Error(error),
    };
    match tokio::time::timeout(timeout, reach.connect(address)).await {
        Ok(Ok(_)) => Answer::Good,
        Ok(Err(error)) => Answer::Bad(error),
        Err(_) => Answer::Bad(format!("dial tcp {address}: i/o timeout")),
    }
}
