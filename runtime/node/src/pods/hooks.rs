//! The hooks of a container's life: what runs right after its start, and before its end.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use super::probe;
use super::reach::Reach;
use crate::runtime::Exit;

/// The moments that have a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    PostStart,
    PreStop,
}

impl Hook {
    pub(crate) fn of(self, container: &Container) -> Option<&LifecycleHandler> {
        let lifecycle = container.lifecycle.as_ref()?;
        match self {
            Hook::PostStart => lifecycle.post_start.as_ref(),
            Hook::PreStop => lifecycle.pre_stop.as_ref(),
        }
    }
}

/// Runs a hook; it is over when the container is. As with a kubelet, any answer to an HTTP request will do, and a TCP
/// socket is not a thing that a hook can do.
pub(crate) async fn run(reach: &Reach, handler: &LifecycleHandler) -> Result<(), String> {
    tokio::select! {
        done = handle(reach, handler) => done,
        _ = reach.container.exited() => Err("the container has ended".to_owned()),
    }
}

async fn handle(reach: &Reach, handler: &LifecycleHandler) -> Result<(), String> {
    if let Some(exec) = &handler.exec {
        return exec_hook(reach, exec.command.as_deref().unwrap_or_default()).await;
    }
    if let Some(get) = &handler.http_get {
        return probe::http_status(reach, get).await.map(drop);
    }
    if let Some(sleep) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(sleep.seconds.try_into().unwrap_or(0))).await;
        return Ok(());
    }
    Err("invalid handler: a hook can be exec, httpGet or sleep".to_owned())
}

async fn exec_hook(reach: &Reach, command: &[String]) -> Result<(), String> {
    match probe::exec(reach, command).await? {
        (Exit { code: 0, .. }, _) => Ok(()),
        (exit, printed) => Err(format!("command {command:?} exited with {}: {printed}", exit.code)),
    }
}
