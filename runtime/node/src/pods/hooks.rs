//! The hooks of a container's life: what runs right after its start, and before its end.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ExecAction, HTTPGetAction, LifecycleHandler, Pod};

use super::events::{Kind, Recorder};
use super::probe::{self, Caller, GetError};
use super::reach::Reach;
use super::spec::PodExt;
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
///
/// # Errors
/// In a kubelet's words.
pub(crate) async fn run(
    reach: &Reach,
    handler: &LifecycleHandler,
    pod: &Pod,
    recorder: &Recorder,
) -> Result<(), String> {
    let done = tokio::select! {
        done = handle(reach, handler, pod, recorder) => done,
        _ = reach.container.exited() => Err("the container has ended".to_owned()),
    };
    done.map_err(|error| told(&reach.spec.name, handler, pod, &error))
}

async fn handle(reach: &Reach, handler: &LifecycleHandler, pod: &Pod, recorder: &Recorder) -> Result<(), String> {
    if let Some(exec) = &handler.exec {
        return run_program(reach, exec).await;
    }
    if let Some(get) = &handler.http_get {
        return request(reach, get, pod, recorder).await;
    }
    if let Some(sleep) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(sleep.seconds.try_into().unwrap_or(0))).await;
        return Ok(());
    }
    Err("invalid handler: a hook can be exec, httpGet or sleep".to_owned())
}

async fn run_program(reach: &Reach, exec: &ExecAction) -> Result<(), String> {
    let command = exec.command.as_deref().unwrap_or_default();
    match probe::exec(reach, command).await? {
        (Exit { code: 0, .. }, _) => Ok(()),
        (exit, printed) => {
            Err(format!("command '{}' exited with {}, message: {printed:?}", command.join(" "), exit.code))
        }
    }
}

/// Asks by HTTPS what wants to be asked so, and once more by HTTP if it answers by that.
async fn request(reach: &Reach, get: &HTTPGetAction, pod: &Pod, recorder: &Recorder) -> Result<(), String> {
    match probe::get(reach, get, Caller::Lifecycle).await {
        Ok(_) => return Ok(()),
        Err(GetError::NotSecure { .. }) => {}
        Err(error) => return Err(error.to_string()),
    }
    let plain = HTTPGetAction { scheme: Some("HTTP".to_owned()), ..get.clone() };
    let answer = probe::get(reach, &plain, Caller::Lifecycle).await.map_err(|error| error.to_string())?;
    let message =
        format!("request to HTTPS lifecycle hook {} got HTTP response, retry with HTTP succeeded", answer.authority);
    recorder.pod(pod, Kind::Warning, "LifecycleHTTPFallback", message);
    Ok(())
}

fn told(container: &str, handler: &LifecycleHandler, pod: &Pod, error: &str) -> String {
    let reference = pod.reference();
    let what = match handler {
        LifecycleHandler { exec: Some(exec), .. } => {
            format!("Exec lifecycle hook ([{}])", exec.command.as_deref().unwrap_or_default().join(" "))
        }
        LifecycleHandler { http_get: Some(get), .. } => {
            format!("HTTP lifecycle hook ({})", get.path.as_deref().unwrap_or_default())
        }
        LifecycleHandler { sleep: Some(sleep), .. } => format!("Sleep lifecycle hook ({})", sleep.seconds),
        _ => return format!("Cannot run handler: {error}"),
    };
    format!(
        "{what} for Container {container:?} in Pod \"{}_{}({})\" failed - error: {error}",
        reference.name, reference.namespace, reference.uid
    )
}
