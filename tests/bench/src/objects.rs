//! The objects that the benchmarks are made of, and ways to write them in process.

use anyhow::{Result, ensure};
use axum::body::Body;
use carob_apiserver::{Identity, InProcess};
use http::{Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// Where the ConfigMaps are.
pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Where the Pods are.
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";

/// Who may do everything.
pub(crate) fn admin() -> Identity {
    Identity::user("bench").group("system:masters")
}

/// A ConfigMap that is stored as about `size` bytes.
pub(crate) fn config_map(name: &str, size: usize) -> Value {
    let filler = "x".repeat(size.saturating_sub(300));
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "filler": filler } })
}

/// A Pod as a user writes it.
pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": "bench", "tier": "web" } },
        "spec": { "containers": [{
            "name": "main", "image": "registry.example/bench:1",
            "env": [{ "name": "MODE", "value": "bench" }],
            "ports": [{ "containerPort": 8080 }],
            "resources": { "requests": { "cpu": "10m", "memory": "16Mi" }, "limits": { "memory": "64Mi" } },
        }] },
    })
}

/// Posts `object`.
pub(crate) async fn create(api: &InProcess, object: &Value) -> Result<()> {
    let path = if object["kind"] == "Pod" { PODS } else { CONFIG_MAPS };
    send(api, Request::post(path), object).await
}

/// Puts `object`, whatever stands there.
pub(crate) async fn replace(api: &InProcess, object: &Value) -> Result<()> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    send(api, Request::put(format!("{CONFIG_MAPS}/{name}")), object).await
}

async fn send(api: &InProcess, request: http::request::Builder, object: &Value) -> Result<()> {
    let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(object.to_string()))?;
    let response = api.clone().oneshot(request).await?;
    let status = response.status();
    let said = response.into_body().collect().await?.to_bytes();
    ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&said));
    Ok(())
}
