//! The objects that the benchmarks are made of, and ways to write them in process.

use anyhow::{Result, ensure};
use axum::body::Body;
use carob_apiserver::{Identity, InProcess};
use http::{Request, header};
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

/// Where the ConfigMaps are.
pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Where the Pods are.
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";

/// Who may do everything.
pub(crate) fn admin() -> Identity {
    Identity::user("bench").group("system:masters")
}

/// What the ConfigMaps are filled with; longer than any of them.
const FILLER: &str = {
    const XS: [u8; 4096] = [b'x'; 4096];
    match str::from_utf8(&XS) {
        Ok(filler) => filler,
        Err(_) => unreachable!(),
    }
};

/// An object as a client has it ready to send: making it is not what is measured, so it is cheap.
pub(crate) struct Object {
    collection: &'static str,
    name: String,
    json: String,
}

/// A ConfigMap that is stored as about `size` bytes.
pub(crate) fn config_map(name: &str, size: usize) -> Object {
    let filler = &FILLER[..size.saturating_sub(300)];
    let json = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},"data":{{"filler":"{filler}"}}}}"#
    );
    Object { collection: CONFIG_MAPS, name: name.to_owned(), json }
}

/// A Pod as a user writes it.
pub(crate) fn pod(name: &str) -> Object {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": "bench", "tier": "web" } },
        "spec": { "containers": [{
            "name": "main", "image": "registry.example/bench:1",
            "env": [{ "name": "MODE", "value": "bench" }],
            "ports": [{ "containerPort": 8080 }],
            "resources": { "requests": { "cpu": "10m", "memory": "16Mi" }, "limits": { "memory": "64Mi" } },
        }] },
    });
    Object { collection: PODS, name: name.to_owned(), json: pod.to_string() }
}

/// Posts `object`.
pub(crate) async fn create(api: &InProcess, object: Object) -> Result<()> {
    send(api, Request::post(object.collection), object.json).await
}

/// Puts `object`, whatever stands there.
pub(crate) async fn replace(api: &InProcess, object: Object) -> Result<()> {
    send(api, Request::put(format!("{}/{}", object.collection, object.name)), object.json).await
}

async fn send(api: &InProcess, request: http::request::Builder, json: String) -> Result<()> {
    let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(json))?;
    let response = api.clone().oneshot(request).await?;
    let status = response.status();
    let said = response.into_body().collect().await?.to_bytes();
    ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&said));
    Ok(())
}
