//! `/containerLogs/{namespace}/{pod}/{container}`

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde::{Deserialize, Deserializer};

use super::Shown;
use crate::logs::{self, LogOptions, PodRef};
use crate::pods::PodView;
use crate::runtime::Stream;

/// The query, in the names of Kubernetes' `PodLogOptions`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogQuery {
    #[serde(deserialize_with = "flag")]
    follow: bool,
    #[serde(deserialize_with = "flag")]
    previous: bool,
    #[serde(deserialize_with = "flag")]
    timestamps: bool,
    tail_lines: Option<i64>,
    since_seconds: Option<i64>,
    since_time: Option<Timestamp>,
    limit_bytes: Option<i64>,
    stream: Option<String>,
}

/// As Kubernetes reads a flag in a query: given, and neither `false` nor `0`.
fn flag<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    let value = String::deserialize(value)?.to_ascii_lowercase();
    Ok(value != "false" && value != "0")
}

type Refusal = (StatusCode, String);

pub(super) async fn container_logs(
    State(shown): State<Shown>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Refusal> {
    let view = shown.table.get(&namespace, &pod);
    let view = view.ok_or_else(|| (StatusCode::NOT_FOUND, format!("pod {pod:?} not found on this node")))?;
    let run = run(&view, &container, query.previous)?;
    let options = options(&query, Timestamp::now())?;
    let uid = view.pod.metadata.uid.clone().unwrap_or_default();
    let path = shown.dirs.log(&PodRef { namespace, name: pod, uid }, &container, run);
    let stream = logs::stream(&shown.logs, path, options).await.map_err(|error| {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot read the log of container {container:?}: {error}"))
    })?;
    Ok(([(header::CONTENT_TYPE, "text/plain")], Body::from_stream(stream)).into_response())
}

/// Which of the container's runs is meant.
fn run(view: &PodView, container: &str, previous: bool) -> Result<i32, Refusal> {
    let pod = view.pod.metadata.name.as_deref().unwrap_or_default();
    let Some(brief) = view.containers.iter().find(|brief| brief.name == container) else {
        return Err((StatusCode::NOT_FOUND, format!("container {container:?} not found in pod {pod:?}")));
    };
    if previous {
        let refusal = || format!("previous terminated container {container:?} in pod {pod:?} not found");
        return brief.previous.ok_or_else(|| (StatusCode::BAD_REQUEST, refusal()));
    }
    brief.run.ok_or_else(|| {
        let reason = waiting_reason(&view.pod, container).unwrap_or("ContainerCreating");
        (StatusCode::BAD_REQUEST, format!("container {container:?} in pod {pod:?} is waiting to start: {reason}"))
    })
}

fn waiting_reason<'a>(pod: &'a Pod, container: &str) -> Option<&'a str> {
    let status = pod.status.as_ref()?;
    let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let status: &ContainerStatus = lists.into_iter().flatten().flatten().find(|status| status.name == container)?;
    status.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}

fn options(query: &LogQuery, now: Timestamp) -> Result<LogOptions, Refusal> {
    let bad = |message: &str| (StatusCode::BAD_REQUEST, message.to_owned());
    let at_least = |value: Option<i64>, least: i64, message| match value {
        Some(value) if value < least => Err(bad(message)),
        other => Ok(other.and_then(|value| u64::try_from(value).ok())),
    };
    let tail = at_least(query.tail_lines, 0, "tailLines: must be greater than or equal to 0")?;
    let limit = at_least(query.limit_bytes, 1, "limitBytes: must be greater than 0")?;
    let seconds = at_least(query.since_seconds, 1, "sinceSeconds: must be greater than 0")?;
    if seconds.is_some() && query.since_time.is_some() {
        return Err(bad("at most one of `sinceTime` or `sinceSeconds` may be specified"));
    }
    let ago = seconds.map(|seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap_or(Timestamp::MIN));
    let stream = match query.stream.as_deref() {
        None | Some("All") => None,
        Some("Stdout") => Some(Stream::Stdout),
        Some("Stderr") => Some(Stream::Stderr),
        Some(_) => return Err(bad("stream: must be one of All, Stdout and Stderr")),
    };
    let since = ago.or(query.since_time);
    Ok(LogOptions { tail, since, timestamps: query.timestamps, limit, stream, follow: query.follow })
}
