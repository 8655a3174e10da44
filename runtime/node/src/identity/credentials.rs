//! The node's certificates, from the first to the last.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use carob_pki::{CaHash, KeyPair, Names, NodeIdentity, node_user};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{ClientBuilder, ConfigExt};
use kube::config::AuthInfo;
use kube::{Client, Config};
use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::live::{self, Live};
use super::request::{Purpose, obtain};
use super::timing::{renew_at, until};
use super::{IdentityError, trust};
use crate::errors::refusal;

/// Between tries to renew a certificate, or to join while nobody answers.
const RETRY: Duration = Duration::from_secs(5);
/// A server that says nothing for so long is gone: a watch would wait for ever.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(10);

/// What a machine knows that was invited to become a node.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// The URL of the API server.
    pub server: String,
    /// A bootstrap token.
    pub token: String,
    /// What the cluster's authority is known by.
    pub ca_hash: CaHash,
}

/// A node's certificates, kept in a folder and renewed there.
pub struct Credentials {
    name: String,
    folder: PathBuf,
    authority: String,
    client: Arc<Live>,
    serving: Arc<Live>,
    pairs: Mutex<Pairs>,
    news: watch::Sender<Arc<NodeIdentity>>,
}

struct Pairs {
    client: KeyPair,
    serving: Option<KeyPair>,
}

impl Credentials {
    /// The certificates of this node that are in `folder`.
    ///
    /// # Errors
    /// If there are none, or they are over, or another node's.
    pub fn load(folder: &Path, name: &str, now: SystemTime) -> Result<Self, IdentityError> {
        let none = || IdentityError::NoneYet(name.to_owned());
        let client = KeyPair::load(&client_path(folder))?.ok_or_else(none)?;
        let authority = std::fs::read_to_string(authority_path(folder)).map_err(|_| none())?;
        let found = client.user()?;
        if found != node_user(name) {
            return Err(IdentityError::OtherNode { folder: folder.to_owned(), found, name: name.to_owned() });
        }
        if client.validity()?.not_after <= now {
            return Err(IdentityError::Over(name.to_owned()));
        }
        let serving = KeyPair::load(&serving_path(folder))?;
        Self::of(folder, name, authority, Pairs { client, serving })
    }

    /// Joins the cluster: finds its authority, asks for the node's client certificate, and keeps both in `folder`. Waits as
    /// long as nobody answers.
    ///
    /// # Errors
    /// If the server is not the one that is meant, or refuses.
    pub async fn join(folder: &Path, name: &str, invitation: &Invitation) -> Result<Self, IdentityError> {
        let authority = loop {
            match trust::authority(&invitation.server, invitation.ca_hash).await {
                Err(error @ IdentityError::Unreachable { .. }) => {
                    tracing::warn!(%error, "trying again");
                    sleep(RETRY).await;
                }
                found => break found?,
            }
        };
        let client = obtain(&newcomer(invitation, authority.to_vec())?, name, Purpose::Client, &Names::default()).await;
        let client = client.map_err(|error| match error {
            IdentityError::Api(kube::Error::Api(status)) if status.code == 401 => IdentityError::Token,
            other => other,
        })?;
        let authority = carob_pki::pem(&authority);
        std::fs::create_dir_all(folder).map_err(|source| carob_pki::Error::File {
            act: "create",
            path: folder.to_owned(),
            source,
        })?;
        carob_pki::write_private(&authority_path(folder), &authority)?;
        client.save(&client_path(folder))?;
        tracing::info!(node = name, "joined the cluster");
        Self::of(folder, name, authority, Pairs { client, serving: None })
    }

    fn of(folder: &Path, name: &str, authority: String, pairs: Pairs) -> Result<Self, IdentityError> {
        let (client, serving) = (Arc::new(Live::default()), Arc::new(Live::default()));
        client.replace(&pairs.client)?;
        if let Some(pair) = &pairs.serving {
            serving.replace(pair)?;
        }
        let news = watch::Sender::new(identity(&authority, &pairs));
        let (name, folder, pairs) = (name.to_owned(), folder.to_owned(), Mutex::new(pairs));
        Ok(Self { name, folder, authority, client, serving, pairs, news })
    }

    /// A client of the API that always shows the newest certificate.
    ///
    /// # Errors
    /// If the URL or the certificates cannot be used.
    pub fn client(&self, server: &str) -> Result<Client, IdentityError> {
        let url = server.parse().map_err(|_| IdentityError::Url(server.to_owned()))?;
        let tls = live::client(&self.authority, self.client.clone())?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        http.set_keepalive(Some(KEEP_ALIVE));
        http.set_keepalive_interval(Some(KEEP_ALIVE / 2));
        http.set_keepalive_retries(Some(3));
        http.set_tcp_user_timeout(Some(KEEP_ALIVE * 2));
        let https = hyper_rustls::HttpsConnector::from((http, tls));
        let service = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(https);
        Ok(ClientBuilder::new(service, "default").with_layer(&Config::new(url).base_uri_layer()).build())
    }

    /// Asks the server whether it takes the certificate: its clock may say otherwise than this machine's. Nobody's answer is
    /// none, and no refusal.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn accepted(&self, server: &str) -> Result<(), IdentityError> {
        let asking = self.client(server)?;
        let Ok(Err(error)) = timeout(CONNECT, asking.apiserver_version()).await else { return Ok(()) };
        let (server, name) = (server.to_owned(), self.name.clone());
        refusal(&error).map_or(Ok(()), |alert| Err(IdentityError::Refused { server, name, alert }))
    }

    /// TLS for the kubelet's API: shows the newest serving certificate, and takes clients of the cluster only.
    ///
    /// # Errors
    /// If the authority's certificate cannot be used.
    pub fn serving(&self) -> Result<ServerConfig, IdentityError> {
        live::server(&self.authority, self.serving.clone())
    }

    /// Both certificates and the authority's, now and whenever they are renewed.
    pub fn watch(&self) -> watch::Receiver<Arc<NodeIdentity>> {
        self.news.subscribe()
    }

    /// Asks for whatever is missing or does not vouch for these addresses, and renews each certificate before it ends. Ends
    /// never.
    pub async fn keep(&self, client: &Client, addresses: &[IpAddr]) {
        let (none, names) = (Names::default(), Names { dns: vec![self.name.clone()], ips: addresses.to_vec() });
        tokio::join!(self.keep_one(client, Purpose::Client, &none), self.keep_one(client, Purpose::Serving, &names),);
    }

    async fn keep_one(&self, client: &Client, purpose: Purpose, names: &Names) {
        loop {
            sleep(self.due(purpose, names)).await;
            match self.renew(client, purpose, names).await {
                Ok(()) => tracing::info!(node = self.name, ?purpose, "the node has a new certificate"),
                Err(error) => {
                    tracing::warn!(node = self.name, ?purpose, %error, "no new certificate; it is tried again");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// How long until a certificate is to be renewed.
    fn due(&self, purpose: Purpose, names: &Names) -> Duration {
        let pairs = self.pairs.lock();
        let held = match purpose {
            Purpose::Client => Some(&pairs.client),
            Purpose::Serving => pairs.serving.as_ref().filter(|pair| pair.names().is_ok_and(|held| held == *names)),
        };
        let validity = held.and_then(|pair| pair.validity().ok());
        validity.map_or(Duration::ZERO, |validity| until(renew_at(validity, rand::random()), SystemTime::now()))
    }

    async fn renew(&self, client: &Client, purpose: Purpose, names: &Names) -> Result<(), IdentityError> {
        let pair = obtain(client, &self.name, purpose, names).await?;
        let (path, live) = match purpose {
            Purpose::Client => (client_path(&self.folder), &self.client),
            Purpose::Serving => (serving_path(&self.folder), &self.serving),
        };
        pair.save(&path)?;
        live.replace(&pair)?;
        match purpose {
            Purpose::Client => self.pairs.lock().client = pair,
            Purpose::Serving => self.pairs.lock().serving = Some(pair),
        }
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        self.news.send_replace(identity(&self.authority, &self.pairs.lock()));
    }
}

fn identity(authority: &str, pairs: &Pairs) -> Arc<NodeIdentity> {
    let Pairs { client, serving } = pairs;
    Arc::new(NodeIdentity { authority: authority.to_owned(), client: client.clone(), serving: serving.clone() })
}

/// A client that has nothing but the token.
fn newcomer(invitation: &Invitation, authority: Vec<u8>) -> Result<Client, IdentityError> {
    let url = invitation.server.parse().map_err(|_| IdentityError::Url(invitation.server.clone()))?;
    let mut config = Config::new(url);
    config.root_cert = Some(vec![authority]);
    config.auth_info = AuthInfo { token: Some(invitation.token.clone().into()), ..AuthInfo::default() };
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

fn authority_path(folder: &Path) -> PathBuf {
    folder.join("ca.crt")
}

fn client_path(folder: &Path) -> PathBuf {
    folder.join("client.pem")
}

fn serving_path(folder: &Path) -> PathBuf {
    folder.join("serving.pem")
}

#[cfg(test)]
mod tests {
    use carob_pki::Authority;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn what_is_kept_is_used_only_by_its_node_and_while_it_lasts() {
        let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
        let load = |name: &str, now| Credentials::load(folder.path(), name, now);
        assert!(matches!(load("n1", now), Err(IdentityError::NoneYet(_))));
        let authority = Authority::generate("ca", now).unwrap();
        std::fs::write(authority_path(folder.path()), authority.certificate()).unwrap();
        authority
            .client("system:node:n1", "system:nodes", now, HOUR)
            .unwrap()
            .save(&client_path(folder.path()))
            .unwrap();
        let credentials = load("n1", now).unwrap();
        assert!(matches!(load("n2", now), Err(IdentityError::OtherNode { .. })));
        assert!(matches!(load("n1", now + HOUR), Err(IdentityError::Over(_))));
        assert!(credentials.watch().borrow().serving.is_none(), "it cannot serve yet");
        let names = Names { dns: vec!["n1".into()], ips: Vec::new() };
        assert!(credentials.due(Purpose::Serving, &names).is_zero());
        assert!(credentials.due(Purpose::Client, &Names::default()) > HOUR / 2);
    }

    #[test]
    fn a_serving_certificate_for_other_addresses_is_replaced() {
        let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
        let authority = Authority::generate("ca", now).unwrap();
        let names = |ip: &str| Names { dns: vec!["n1".into()], ips: vec![ip.parse().unwrap()] };
        std::fs::write(authority_path(folder.path()), authority.certificate()).unwrap();
        authority
            .client("system:node:n1", "system:nodes", now, HOUR)
            .unwrap()
            .save(&client_path(folder.path()))
            .unwrap();
        authority.node("n1", &names("10.0.0.1"), now, HOUR).unwrap().save(&serving_path(folder.path())).unwrap();
        let credentials = Credentials::load(folder.path(), "n1", now).unwrap();
        assert!(credentials.watch().borrow().serving.is_some());
        assert!(!credentials.due(Purpose::Serving, &names("10.0.0.1")).is_zero());
        assert!(credentials.due(Purpose::Serving, &names("10.0.0.2")).is_zero());
    }
}
