//! Tells the owner of a Service or Pod what went wrong with its ports of the host.

use std::io;
use std::net::SocketAddr;

use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::subject::Subject;

/// Writes Events about Services and Pods.
pub(crate) struct Events {
    recorder: Recorder,
}

impl Events {
    pub(crate) fn new(client: Client, node_name: String) -> Self {
        let reporter = Reporter { controller: "carob-netmesh".into(), instance: Some(node_name) };
        Self { recorder: Recorder::new(client, reporter) }
    }

    pub(crate) async fn cannot_listen(&self, subject: &Subject, address: SocketAddr, error: &io::Error) {
        let field = subject.purpose.field();
        let event = Event {
            type_: EventType::Warning,
            reason: subject.purpose.unavailable().into(),
            note: Some(format!(
                "cannot listen on {address} of the host: {error}; trying again. Free the port, or choose another {field}"
            )),
            action: "Listen".into(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &subject.reference()).await {
            tracing::warn!(%error, %subject, "cannot write an Event");
        }
    }
}
