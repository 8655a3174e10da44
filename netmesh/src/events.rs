//! Tells the owner of a Service what went wrong with it.

use std::io;
use std::net::SocketAddr;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::table::Frontend;

/// Writes Events about Services.
pub(crate) struct Events {
    recorder: Recorder,
}

impl Events {
    pub(crate) fn new(client: Client, node_name: String) -> Self {
        let reporter = Reporter { controller: "carob-netmesh".into(), instance: Some(node_name) };
        Self { recorder: Recorder::new(client, reporter) }
    }

    pub(crate) async fn cannot_listen(&self, port: &Frontend, address: SocketAddr, error: &io::Error) {
        let event = Event {
            type_: EventType::Warning,
            reason: "NodePortUnavailable".into(),
            note: Some(format!(
                "cannot listen on {address} of the host: {error}; trying again. Free the port, or choose another nodePort"
            )),
            action: "Listen".into(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &reference(port)).await {
            tracing::warn!(%error, service = %port.target, "cannot write an Event");
        }
    }
}

fn reference(port: &Frontend) -> ObjectReference {
    let service = &port.target.service;
    ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Service".into()),
        namespace: Some(service.namespace.to_string()),
        name: Some(service.name.to_string()),
        uid: Some(port.uid.to_string()),
        ..ObjectReference::default()
    }
}
