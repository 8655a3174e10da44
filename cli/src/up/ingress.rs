//! The gateway of a node.

use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use axum::Router;
use axum::http::header;
use axum::routing::get;
use carob_netmesh::{Announcement, Figures, Gateway, GatewayConfig, Limits, Mesh, Timeouts};
use carob_resources::{INGRESS_ADDRESSES, INGRESS_CONTROLLER, INGRESS_ROLE};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::net::TcpListener;

use super::address;
use super::parts::Parts;
use crate::args::{IngressOptions, Listen};

/// Where the gateway listens on a node that runs beside the control plane: ports that need no rights.
pub(crate) const BESIDE_THE_CONTROL_PLANE: [Listen; 2] = [
    Listen::At(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)),
    Listen::At(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443)),
];

/// On a node that joins it listens only if it is told to.
pub(crate) const ON_OTHER_NODES: [Listen; 2] = [Listen::Off; 2];

/// The ports at which a gateway takes connections.
#[derive(Default)]
pub(crate) struct Doors {
    http: Option<TcpListener>,
    https: Option<TcpListener>,
}

impl Doors {
    /// Listens where the options say, or else at `default` (HTTP, HTTPS).
    pub(crate) async fn open(options: &IngressOptions, default: [Listen; 2]) -> anyhow::Result<Doors> {
        let [http, https] = default;
        Ok(Doors {
            http: bind(options.ingress_http_listen.unwrap_or(http), "--ingress-http-listen").await?,
            https: bind(options.ingress_https_listen.unwrap_or(https), "--ingress-https-listen").await?,
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// Where clients find them, on a node with this address: an unspecified one stands for it.
    fn addresses(&self, own: IpAddr) -> anyhow::Result<Vec<SocketAddr>> {
        let listeners = self.http.iter().chain(&self.https);
        let address = |listener: &TcpListener| {
            let mut address = listener.local_addr()?;
            if address.ip().is_unspecified() {
                address.set_ip(own);
            }
            Ok(address)
        };
        listeners.map(address).collect()
    }
}

async fn bind(listen: Listen, flag: &str) -> anyhow::Result<Option<TcpListener>> {
    match listen.address() {
        Some(address) => {
            let told = format!("{flag} ADDR:PORT, or have none with {flag} off");
            Ok(Some(address::bind(address, &told).await?))
        }
        None => Ok(None),
    }
}

/// Starts the gateway of the node `name`. Without doors it only says that there are none.
pub(crate) fn start(
    parts: &mut Parts,
    client: Client,
    mesh: Mesh,
    doors: Doors,
    (name, own): (&str, IpAddr),
    options: &IngressOptions,
) -> anyhow::Result<Figures> {
    let addresses: Vec<String> = doors.addresses(own)?.iter().map(SocketAddr::to_string).collect();
    let addresses = addresses.join(",");
    if !addresses.is_empty() {
        println!("ingress         {addresses}");
    }
    let config = GatewayConfig {
        controller: INGRESS_CONTROLLER.to_owned(),
        http: doors.http,
        https: doors.https,
        announcement: Announcement { node: name.to_owned(), annotation: INGRESS_ADDRESSES, addresses },
        limits: Limits {
            head_bytes: usize::try_from(options.ingress_max_head).unwrap_or(usize::MAX),
            body_bytes: options.ingress_max_body,
            connections: options.ingress_max_connections,
        },
        timeouts: Timeouts {
            head: options.ingress_head_timeout,
            request: options.ingress_request_timeout,
            idle: options.ingress_idle_timeout,
        },
        access_log: options.ingress_access_log.as_deref().map(access_log).transpose()?,
    };
    let gateway = Gateway::new(client, mesh, config)?;
    let figures = gateway.figures();
    parts.start("gateway", |stop| async move { gateway.run(stop).await });
    Ok(figures)
}

fn access_log(path: &Path) -> anyhow::Result<Box<dyn Write + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdout()));
    }
    let file = File::options().create(true).append(true).open(path);
    Ok(Box::new(file.with_context(|| format!("cannot append to the access log {}", path.display()))?))
}

/// What the gateway counts, beside the kubelet's own figures.
pub(crate) fn metrics(figures: Figures) -> Router {
    let answer =
        async move || ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0")], figures.text());
    Router::new().route("/metrics/ingress", get(answer))
}

/// Makes the gateway of this node one of the cluster's: it may show the certificates of Ingresses, and is in their status.
pub(crate) async fn grant(admin: &Client, node: &str) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(admin.clone());
    let patch = json!({ "metadata": { "labels": { INGRESS_ROLE: "" } } });
    let granted = nodes.patch(node, &PatchParams::default(), &Patch::Merge(patch)).await;
    granted.map(|_| ()).with_context(|| format!("cannot label node {node} with {INGRESS_ROLE}"))
}
