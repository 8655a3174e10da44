//! `carob node`: a node that joins a cluster.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, bail};
use carob_node::{Credentials, Invitation};
use carob_reconcile::Informers;
use tokio::net::{TcpListener, lookup_host};

use crate::args::JoinOptions;
use crate::data_dir::DataDir;
use crate::process;
use crate::up::ingress::Doors;
use crate::up::mesh::Membership;
use crate::up::node::{Place, start};
use crate::up::parts::Parts;
use crate::up::{address, dns, ingress, ready};

/// Runs the node until SIGTERM or Ctrl-C, or until a part of it fails.
pub(crate) fn run(options: JoinOptions) -> anyhow::Result<()> {
    process::run(&options.data.clone(), async |data, parts| join(&options, data, parts).await)
}

async fn join(options: &JoinOptions, data: &DataDir, parts: &mut Parts) -> anyhow::Result<String> {
    let name = match &options.name {
        Some(name) => data.claim_node_name(name)?,
        None => data.node_name()?,
    };
    let kubelet = TcpListener::bind(options.kubelet_listen).await.with_context(|| {
        format!("cannot listen at {}; choose another with --kubelet-listen", options.kubelet_listen)
    })?;
    let kubelet_port = kubelet.local_addr()?.port();
    let credentials = Arc::new(credentials(&data.node().join("pki"), &name, options).await?);
    let client = credentials.client(&options.server)?;
    let api = server_address(&options.server).await?;
    let own = options.node_ip.unwrap_or_else(|| address::towards(api));
    println!("node            {name} at {own}, kubelet API on port {kubelet_port}");

    let place = Place {
        name: name.clone(),
        address: own,
        api,
        kubelet_port,
        mesh: Some(Membership { port: options.mesh.mesh_port, identity: credentials.watch() }),
        informers: Arc::new(Informers::new(client.clone())),
        dns_listen: dns::LISTEN_ANY_PORT,
        doors: Doors::open(&options.node.ingress, ingress::ON_OTHER_NODES).await?,
        options: &options.node,
    };
    let started = start(data, parts, client.clone(), place).await?;
    let tls = credentials.serving()?;
    parts.start("kubelet API", |stop| async move {
        stop.run_until_cancelled(carob_node::serve_kubelet(kubelet, tls, started.kubelet)).await;
    });
    let asking = client.clone();
    parts.start("certificates", |stop| async move {
        stop.run_until_cancelled(credentials.keep(&asking, &[own])).await;
    });
    ready::node_at_last(&client, &name).await;
    Ok(format!("ready: node {name} of {}", options.server))
}

/// Those of an earlier start, or new ones by the token.
async fn credentials(folder: &Path, name: &str, options: &JoinOptions) -> anyhow::Result<Credentials> {
    let saved = saved_credentials(folder, name, &options.server).await;
    match (saved, &options.token, options.ca_hash) {
        (Ok(credentials), ..) => Ok(credentials),
        (Err(error @ carob_node::IdentityError::OtherNode { .. }), ..) => Err(error.into()),
        (Err(_), Some(token), Some(ca_hash)) => {
            let (server, token) = (options.server.clone(), token.clone());
            Ok(Credentials::join(folder, name, &Invitation { server, token, ca_hash }).await?)
        }
        (Err(error), ..) => Err(error.into()),
    }
}

/// Those that this machine's clock and the server take for good.
async fn saved_credentials(folder: &Path, name: &str, server: &str) -> Result<Credentials, carob_node::IdentityError> {
    let credentials = Credentials::load(folder, name, SystemTime::now())?;
    credentials.accepted(server).await?;
    Ok(credentials)
}

async fn server_address(server: &str) -> anyhow::Result<SocketAddr> {
    let uri: http::Uri = server.parse().with_context(|| format!("{server:?} is no URL"))?;
    let Some(host) = uri.host() else { bail!("{server:?} names no host") };
    let port = uri.port_u16().unwrap_or(443);
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let mut found = lookup_host((host, port)).await.with_context(|| format!("cannot find {host}"))?;
    found.next().with_context(|| format!("{host} has no address"))
}
