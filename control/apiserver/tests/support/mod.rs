//! An API server over a store in memory, asked through its in-process client.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its own part of this; a test may panic")]

pub(crate) mod tls;

use std::sync::Arc;

use axum::body::Body;
use carob_apiserver::{ApiServer, Config, Identity};
use carob_store::Memory;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) struct Server {
    pub(crate) api: ApiServer,
    pub(crate) store: Arc<Memory>,
}

pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let store = Arc::new(Memory::new());
        let api = ApiServer::new(store.clone(), config).await.unwrap();
        Self { api, store }
    }

    pub(crate) fn kube(&self) -> kube::Client {
        kube::Client::new(self.api.client(admin()), "default")
    }

    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> http::Response<Body> {
        let mut request = Request::new(body.into());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        self.api.client(admin()).oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let response = self.raw(method, path, headers, body).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { code: parts.status, headers: parts.headers, body, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, object: &Value) -> Answer {
        self.send(Method::POST, path, JSON, object.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, object: &Value) -> Answer {
        self.send(Method::PUT, path, JSON, object.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], "").await
    }

    pub(crate) async fn patch(&self, path: &str, kind: &str, patch: &Value) -> Answer {
        let kind = format!("application/{kind}+json");
        self.send(Method::PATCH, path, &[("content-type", &kind)], patch.to_string()).await
    }

    /// Opens a watch; its events can be taken one by one.
    pub(crate) async fn watch(&self, path: &str) -> Watch {
        let response = self.raw(Method::GET, path, &[], "").await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        Watch { body: StreamExt::boxed(response.into_body().into_data_stream()), buffer: Vec::new() }
    }
}

pub(crate) struct Watch {
    body: futures::stream::BoxStream<'static, Result<bytes::Bytes, axum::Error>>,
    buffer: Vec<u8>,
}

impl Watch {
    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            self.buffer.extend_from_slice(&self.body.next().await?.unwrap());
        }
    }

    /// The next event, as its type and the object's name.
    pub(crate) async fn next_name(&mut self) -> (String, String) {
        let event = self.next().await.expect("the watch ended");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, code: u16) -> Self {
        assert_eq!(self.code.as_u16(), code, "{}", self.text);
        self
    }

    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    pub(crate) fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }

    /// The names of a list's items.
    pub(crate) fn names(&self) -> Vec<&str> {
        let items = self.body["items"].as_array().expect("a list");
        items.iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
    }

    pub(crate) fn version(&self) -> &str {
        self.body["metadata"]["resourceVersion"].as_str().expect("an object with a resourceVersion")
    }

    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.headers.get_all(header::WARNING).iter().map(|value| value.to_str().unwrap()).collect()
    }
}

pub(crate) const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
pub(crate) const MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const SERVICES: &str = "/api/v1/namespaces/default/services";

pub(crate) fn admin() -> Identity {
    Identity::user("admin").group("system:masters")
}

pub(crate) fn map(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "k": "v" } })
}

pub(crate) fn labelled(name: &str, app: &str) -> Value {
    let mut map = map(name);
    map["metadata"]["labels"] = json!({ "app": app });
    map
}

pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
        "spec": { "containers": [{ "name": "main", "image": "hello" }] },
    })
}
