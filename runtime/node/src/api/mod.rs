//! The kubelet's HTTP API, as the API server and metrics collectors expect it.
//!
//! It checks nobody's identity: whoever dials it in process is trusted, and the listener for others (`listen.rs`) checks first.

mod listen;
mod logs;
mod metrics;
mod stats;
mod streams;

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{any, get};
use axum::{Json, Router};
use carob_net::Networks;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::logs::{LogHub, PodDirs};
use crate::pods::PodTable;
use crate::stats::Samples;

pub use listen::serve_kubelet;
pub(crate) use streams::Sessions;

/// What the API shows.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) node_name: Arc<str>,
    pub(crate) table: PodTable,
    pub(crate) networks: Arc<dyn Networks>,
    pub(crate) logs: LogHub,
    pub(crate) dirs: PodDirs,
    pub(crate) data_dir: PathBuf,
    pub(crate) samples: Samples,
    pub(crate) started: Timestamp,
    pub(crate) sessions: Sessions,
}

pub(crate) fn router(shown: Shown) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/pods", get(pods))
        .route("/containerLogs/{namespace}/{pod}/{container}", get(logs::container_logs))
        .route("/exec/{namespace}/{pod}/{container}", any(streams::exec))
        .route("/attach/{namespace}/{pod}/{container}", any(streams::attach))
        .route("/portForward/{namespace}/{pod}", any(streams::port_forward))
        .route("/podProxy/{namespace}/{pod}/{port}", get(streams::pod_proxy))
        .route("/stats/summary", get(stats::summary))
        .route("/metrics", get(metrics::node))
        .route("/metrics/resource", get(metrics::resource))
        .with_state(shown)
}

async fn pods(State(shown): State<Shown>) -> Json<Value> {
    let pods: Vec<Arc<Pod>> = shown.table.all().into_iter().map(|view| view.pod.clone()).collect();
    let items: Vec<&Pod> = pods.iter().map(Arc::as_ref).collect();
    Json(json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
}
