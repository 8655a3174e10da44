//! The part of a Kubernetes API that the netmesh uses: empty lists, watches that tell what the test says, and Events.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body as Asked;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::pod_address;

type Told = UnsyncBoxBody<Bytes, Infallible>;
type Lines = UnboundedReceiver<Value>;

pub(crate) struct FakeApi {
    services: UnboundedSender<Value>,
    slices: UnboundedSender<Value>,
    pods: UnboundedSender<Value>,
    pub(crate) events: Lines,
}

struct Served {
    services: Mutex<Option<Lines>>,
    slices: Mutex<Option<Lines>>,
    pods: Mutex<Option<Lines>>,
    events: UnboundedSender<Value>,
}

impl FakeApi {
    pub(crate) fn new() -> (Self, kube::Client) {
        let (services, served_services) = mpsc::unbounded_channel();
        let (slices, served_slices) = mpsc::unbounded_channel();
        let (pods, served_pods) = mpsc::unbounded_channel();
        let (served_events, events) = mpsc::unbounded_channel();
        let served = Arc::new(Served {
            services: Mutex::new(Some(served_services)),
            slices: Mutex::new(Some(served_slices)),
            pods: Mutex::new(Some(served_pods)),
            events: served_events,
        });
        let service = tower::service_fn(move |request| answer(served.clone(), request));
        (Self { services, slices, pods, events }, kube::Client::new(service, "default"))
    }

    /// Tells of `default/web` with its one port, `http`.
    pub(crate) fn service(&self, node_port: u16) {
        self.tell_service("ADDED", node_port);
    }

    pub(crate) fn service_gone(&self, node_port: u16) {
        self.tell_service("DELETED", node_port);
    }

    fn tell_service(&self, what: &str, node_port: u16) {
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "default", "name": "web", "uid": "uid-of-web", "resourceVersion": "2"},
            "spec": {"type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": node_port}]},
        });
        let _ = self.services.send(json!({"type": what, "object": object}));
    }

    /// Tells of `default/web` as a load balancer whose flows this host takes at `port`, from these addresses.
    pub(crate) fn balanced(&self, port: u16, health: u16, sources: &[&str]) {
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "default", "name": "web", "uid": "uid-of-web", "resourceVersion": "2"},
            "spec": {
                "type": "LoadBalancer", "ports": [{"name": "http", "port": port}], "loadBalancerSourceRanges": sources,
                "externalTrafficPolicy": "Local", "healthCheckNodePort": health,
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}},
        });
        let _ = self.services.send(json!({"type": "MODIFIED", "object": object}));
    }

    /// Tells of a Pod of this node that has its address, and whose port of TCP and UDP is also one of the host.
    pub(crate) fn pod_with_host_port(&self, host: u8, host_port: u16) {
        self.tell_pod("MODIFIED", host, host_port);
    }

    pub(crate) fn pod_gone(&self, host: u8, host_port: u16) {
        self.tell_pod("DELETED", host, host_port);
    }

    fn tell_pod(&self, what: &str, host: u8, host_port: u16) {
        let port = |protocol: &str| json!({"containerPort": 8080, "hostPort": host_port, "protocol": protocol});
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "namespace": "default", "name": format!("pod-{host}"), "uid": format!("uid-{host}"), "resourceVersion": "2",
            },
            "spec": {"containers": [{"name": "c", "ports": [port("TCP"), port("UDP")]}]},
            "status": {"phase": "Running", "podIP": pod_address(host).ip()},
        });
        let _ = self.pods.send(json!({"type": what, "object": object}));
    }

    /// Tells of `default/echo`, a Service by UDP that one Pod is behind.
    pub(crate) fn udp_service(&self, node_port: u16, host: u8) {
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "default", "name": "echo", "uid": "uid-of-echo", "resourceVersion": "2"},
            "spec": {"type": "NodePort", "ports": [{"port": 7, "nodePort": node_port, "protocol": "UDP"}]},
        });
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "namespace": "default", "name": "echo-1", "resourceVersion": "2",
                "labels": {"kubernetes.io/service-name": "echo"},
            },
            "ports": [{"name": "", "port": 8080, "protocol": "UDP"}],
            "endpoints": [{"addresses": [pod_address(host).ip()]}],
        });
        let _ = self.slices.send(json!({"type": "ADDED", "object": slice}));
        let _ = self.services.send(json!({"type": "ADDED", "object": service}));
    }

    /// Tells of the Service's EndpointSlice, with these Pods ready.
    pub(crate) fn ready(&self, hosts: &[u8]) {
        let endpoints: Vec<_> = hosts
            .iter()
            .map(|host| json!({"addresses": [pod_address(*host).ip()], "nodeName": "node", "conditions": {"ready": true}}))
            .collect();
        let object = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "namespace": "default", "name": "web-1", "resourceVersion": "2",
                "labels": {"kubernetes.io/service-name": "web"},
            },
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints,
        });
        let _ = self.slices.send(json!({"type": "MODIFIED", "object": object}));
    }
}

async fn answer(served: Arc<Served>, request: Request<Asked>) -> Result<Response<Told>, Infallible> {
    let watching = request.uri().query().is_some_and(|query| query.contains("watch="));
    let body = match request.uri().path() {
        "/api/v1/services" if watching => watch(served.services.lock().await.take()),
        "/apis/discovery.k8s.io/v1/endpointslices" if watching => watch(served.slices.lock().await.take()),
        "/api/v1/pods" => {
            let query = request.uri().query().unwrap_or_default();
            assert!(
                query.contains("fieldSelector=spec.nodeName%3Dnode"),
                "only its own Pods are its business: {query}"
            );
            if watching { watch(served.pods.lock().await.take()) } else { empty_list("v1", "PodList") }
        }
        "/api/v1/services" => empty_list("v1", "ServiceList"),
        "/apis/discovery.k8s.io/v1/endpointslices" => empty_list("discovery.k8s.io/v1", "EndpointSliceList"),
        // A second of a kind is a series, which is patched.
        path if path.contains("/events") => {
            let event = request.into_body().collect().await.unwrap().to_bytes();
            let _ = served.events.send(serde_json::from_slice(&event).unwrap());
            whole(event)
        }
        path => panic!("the netmesh has no business at {path}"),
    };
    Ok(Response::new(body))
}

fn empty_list(version: &str, kind: &str) -> Told {
    let list = json!({"apiVersion": version, "kind": kind, "metadata": {"resourceVersion": "1"}, "items": []});
    whole(list.to_string().into())
}

/// A watch that is begun a second time has nothing more to say.
fn watch(lines: Option<Lines>) -> Told {
    let lines = lines.unwrap_or_else(|| mpsc::unbounded_channel().1);
    let frames = futures::stream::unfold(lines, |mut lines| async {
        let line = lines.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(format!("{line}\n")))), lines))
    });
    StreamBody::new(frames).boxed_unsync()
}

fn whole(bytes: Bytes) -> Told {
    Full::new(bytes).boxed_unsync()
}
