//! What every cluster has from its first moment.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::{ApiServer, Error, Identity, edge};

const NAMESPACES: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease"];

/// Creates the first namespaces, the ServiceAccount and the Service `kubernetes` of `default`, and keeps its endpoints what
/// they should be. Doing it again changes nothing.
pub(crate) async fn write(api: &ApiServer) -> Result<(), Error> {
    let served = |plural| api.registry().core(plural).is_some();
    if served("namespaces") {
        for name in NAMESPACES {
            let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            create(api, "/api/v1/namespaces", &namespace).await?;
        }
    }
    // Other namespaces get theirs from a controller; Pods are let into this one from the first moment.
    if served("serviceaccounts") {
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default" } });
        create(api, "/api/v1/namespaces/default/serviceaccounts", &account).await?;
    }
    if served("services") {
        create(api, "/api/v1/namespaces/default/services", &service(api)).await?;
    }
    if served("endpoints") {
        put(api, "/api/v1/namespaces/default/endpoints", &endpoints(api)).await?;
        put(api, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", &slice(api)).await?;
    }
    Ok(())
}

fn service(api: &ApiServer) -> Value {
    let (network, _) = api.config().service_cidr;
    let first = Ipv4Addr::from(u32::from(network) + 1);
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "kubernetes", "labels": { "component": "apiserver", "provider": "kubernetes" } },
        "spec": {
            "type": "ClusterIP", "clusterIP": first, "clusterIPs": [first], "sessionAffinity": "None",
            "ports": [{ "name": "https", "protocol": "TCP", "port": 443, "targetPort": api.config().advertise.1 }],
        },
    })
}

/// An endpoint may not be a loopback address; a server that listens only there has none to publish.
fn published(api: &ApiServer) -> Option<(IpAddr, u16)> {
    Some(api.config().advertise).filter(|(address, _)| !address.is_loopback() && !address.is_unspecified())
}

fn endpoints(api: &ApiServer) -> Value {
    let subset = published(api).map(|(address, port)| {
        json!({ "addresses": [{ "ip": address }], "ports": [{ "name": "https", "port": port, "protocol": "TCP" }] })
    });
    json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": { "name": "kubernetes", "labels": { "endpointslice.kubernetes.io/skip-mirror": "true" } },
        "subsets": Vec::from_iter(subset),
    })
}

fn slice(api: &ApiServer) -> Value {
    let (address, port) = api.config().advertise;
    let ready = published(api).map(|(address, _)| json!({ "addresses": [address], "conditions": { "ready": true } }));
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": "kubernetes", "labels": { "kubernetes.io/service-name": "kubernetes" } },
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": Vec::from_iter(ready),
        "ports": [{ "name": "https", "port": port, "protocol": "TCP" }],
    })
}

/// Replaces the object, or creates it.
async fn put(api: &ApiServer, path: &str, object: &Value) -> Result<(), Error> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let (code, said) = send(api, Method::PUT, &format!("{path}/{name}"), object).await;
    match code {
        StatusCode::NOT_FOUND => create(api, path, object).await,
        code if code.is_success() => Ok(()),
        _ => Err(Error::Bootstrap { what: format!("{path}/{name}"), said }),
    }
}

async fn create(api: &ApiServer, path: &str, object: &Value) -> Result<(), Error> {
    let (code, said) = send(api, Method::POST, path, object).await;
    if code.is_success() || code == StatusCode::CONFLICT {
        return Ok(());
    }
    Err(Error::Bootstrap { what: path.to_owned(), said })
}

/// Asks through the same door as everybody.
async fn send(api: &ApiServer, method: Method, path: &str, object: &Value) -> (StatusCode, String) {
    let mut request = Request::new(Body::from(object.to_string()));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().expect("the paths above are URIs");
    request.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    let identity = Identity::user("system:apiserver").group("system:masters");
    let response = edge::handle(api, request, edge::Origin::Process(identity)).await;
    let code = response.status();
    let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    (code, said["message"].as_str().unwrap_or_default().to_owned())
}
