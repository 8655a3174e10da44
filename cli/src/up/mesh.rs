//! The node's place in the mesh: its port, its proof of who it is, and where the other nodes are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use carob_netmesh::{Credentials, Mesh, PeerLimits, Peers, PeersConfig, follow_nodes};
use carob_pki::{Authority, KeyPair, NODES_GROUP, NodeIdentity, node_user};
use kube::Client;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;

/// How long a certificate is good that the server gives to its own node.
const LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
/// How much of that is left when it is replaced.
const SPARE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often it is looked whether it is to be.
const LOOK: Duration = Duration::from_secs(24 * 3600);

/// What a node takes part with.
pub(crate) struct Membership {
    /// The UDP port for other nodes; 0 takes a free one.
    pub(crate) port: u16,
    /// Who the node is, now and whenever its certificate is renewed.
    pub(crate) identity: watch::Receiver<Arc<NodeIdentity>>,
}

/// Joins the Pods of this node, which is at `address`, with those of others. Answers where those reach it.
pub(crate) fn start(
    parts: &mut Parts,
    client: Client,
    mesh: &Mesh,
    address: IpAddr,
    membership: Membership,
) -> anyhow::Result<SocketAddr> {
    let Membership { port, mut identity } = membership;
    let first = credentials(&identity.borrow_and_update())?;
    let (renewed, credentials) = watch::channel(Arc::new(first));
    let config = PeersConfig { listen: SocketAddr::new(listen_at(address), port), limits: PeerLimits::default() };
    let peers = Peers::bind(mesh.clone(), &config, credentials).context("choose another port with --mesh-port")?;
    let reached = SocketAddr::new(address, peers.local_address()?.port());
    let (told, routes) = watch::channel(Arc::default());
    parts.start("credentials of the mesh", |stop| follow_identity(identity, renewed, stop));
    parts.start("table of nodes", |stop| follow_nodes(client, told, stop));
    parts.start("mesh", |stop| peers.run(routes, stop));
    Ok(reached)
}

/// All addresses of this machine, as that of the node may change; but no more than the loopback one where the node is there.
fn listen_at(address: IpAddr) -> IpAddr {
    match address {
        loopback if loopback.is_loopback() => loopback,
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn credentials(identity: &NodeIdentity) -> anyhow::Result<Credentials> {
    let NodeIdentity { authority, client, .. } = identity;
    Ok(Credentials::from_pem(&client.certificate, &client.key, authority)?)
}

/// Connections that are made from now on show the newest certificate.
async fn follow_identity(
    mut identity: watch::Receiver<Arc<NodeIdentity>>,
    renewed: watch::Sender<Arc<Credentials>>,
    stop: CancellationToken,
) {
    while let Some(Ok(())) = stop.run_until_cancelled(identity.changed()).await {
        match credentials(&identity.borrow_and_update()) {
            Ok(next) => drop(renewed.send_replace(Arc::new(next))),
            Err(error) => tracing::error!(%error, "the mesh goes on with the certificate that it has"),
        }
    }
    stop.cancelled().await;
}

/// The certificate of a node that has the cluster's authority in its own process.
pub(crate) struct OwnIdentity {
    authority: Arc<Authority>,
    name: String,
    path: PathBuf,
    news: watch::Sender<Arc<NodeIdentity>>,
}

impl OwnIdentity {
    /// The one in `folder`, while it is good for long enough, or a new one.
    pub(crate) fn load_or_issue(authority: Arc<Authority>, folder: &Path, name: &str) -> anyhow::Result<OwnIdentity> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join("client.pem");
        let client = load_or_issue(&authority, &path, name, SystemTime::now())?;
        let identity = NodeIdentity { authority: authority.certificate().to_owned(), client, serving: None };
        let (name, news) = (name.to_owned(), watch::Sender::new(Arc::new(identity)));
        Ok(OwnIdentity { authority, name, path, news })
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<NodeIdentity>> {
        self.news.subscribe()
    }

    /// Replaces it before it ends. Ends never.
    pub(crate) async fn keep(self) {
        loop {
            sleep(LOOK).await;
            match load_or_issue(&self.authority, &self.path, &self.name, SystemTime::now()) {
                Ok(client) => {
                    let held = self.news.borrow().clone();
                    let next = NodeIdentity { client, ..(*held).clone() };
                    self.news.send_if_modified(|identity| {
                        let is_new = **identity != next;
                        *identity = Arc::new(next);
                        is_new
                    });
                }
                Err(error) => tracing::error!(node = self.name, %error, "no new certificate; it is tried again"),
            }
        }
    }
}

fn load_or_issue(authority: &Authority, path: &Path, name: &str, now: SystemTime) -> Result<KeyPair, carob_pki::Error> {
    let user = node_user(name);
    if let Some(pair) = KeyPair::load(path)?
        && pair.user()? == user
        && pair.validity()?.not_after > now + SPARE
    {
        return Ok(pair);
    }
    let pair = authority.client(&user, NODES_GROUP, now, LIFE)?;
    pair.save(path)?;
    Ok(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_kept_until_little_is_left_of_it() {
        let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
        let (authority, path) = (Authority::generate("ca", now).unwrap(), folder.path().join("client.pem"));
        let held = |name: &str, now| load_or_issue(&authority, &path, name, now).unwrap();
        let first = held("n1", now);
        assert_eq!(held("n1", now + LIFE / 2), first);
        let second = held("n1", now + LIFE - SPARE);
        assert_ne!(second, first);
        assert_eq!(second.user().unwrap(), "system:node:n1");
        assert_ne!(held("n2", now), second, "it is another node's");
    }

    #[test]
    fn only_a_node_on_the_loopback_hides_there() {
        for (address, listens) in
            [("127.0.0.2", "127.0.0.2"), ("192.0.2.1", "0.0.0.0"), ("::1", "::1"), ("2001:db8::1", "::")]
        {
            assert_eq!(listen_at(address.parse().unwrap()).to_string(), listens);
        }
    }
}
