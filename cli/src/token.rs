//! `carob token`: invites machines to become nodes.

use std::time::Duration;

use anyhow::Context;
use carob_pki::CaHash;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;

use crate::args::{self, TokenCommand, TokenCreateOptions};
use crate::data_dir::DataDir;

const NAMESPACE: &str = "kube-system";
const TYPE: &str = "bootstrap.kubernetes.io/token";
const PREFIX: &str = "bootstrap-token-";
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Creates, lists or deletes tokens, as the administrator of the cluster in the data directory.
pub(crate) fn run(command: TokenCommand) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            TokenCommand::Create(options) => create(&options).await,
            TokenCommand::List { data } => list(&Cluster::of(&data).await?).await,
            TokenCommand::Delete { token, data } => delete(&Cluster::of(&data).await?, &token).await,
        }
    })
}

/// The cluster that a data directory belongs to.
struct Cluster {
    secrets: Api<Secret>,
    server: String,
    ca_hash: CaHash,
}

impl Cluster {
    async fn of(data: &args::DataDir) -> anyhow::Result<Self> {
        let data = DataDir::locate(data)?;
        let path = data.kubeconfig();
        let kubeconfig = Kubeconfig::read_from(&path).with_context(|| {
            format!("cannot read {}; run this on the server, with its data directory", path.display())
        })?;
        let authority = data.pki().join("ca.crt");
        let authority =
            std::fs::read_to_string(&authority).with_context(|| format!("cannot read {}", authority.display()))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let secrets = Api::namespaced(Client::try_from(config)?, NAMESPACE);
        Ok(Self { secrets, server, ca_hash: CaHash::of_pem(&authority)? })
    }
}

async fn create(options: &TokenCreateOptions) -> anyhow::Result<()> {
    let cluster = Cluster::of(&options.data).await?;
    let (id, secret) = (random(6), random(16));
    let mut data = json!({
        "token-id": id, "token-secret": secret, "usage-bootstrap-authentication": "true",
    });
    if let Some(expiration) = expiration(options.ttl)? {
        data["expiration"] = json!(expiration.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    if let Some(description) = &options.description {
        data["description"] = json!(description);
    }
    let object = json!({ "metadata": { "name": format!("{PREFIX}{id}") }, "type": TYPE, "stringData": data });
    cluster.secrets.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    match options.print_join_command {
        true => println!("carob node --server {} --token {id}.{secret} --ca-hash {}", cluster.server, cluster.ca_hash),
        false => println!("{id}.{secret}"),
    }
    Ok(())
}

/// When a token is over that is made now; never after no time at all.
fn expiration(ttl: Duration) -> anyhow::Result<Option<Timestamp>> {
    if ttl.is_zero() {
        return Ok(None);
    }
    let ttl = SignedDuration::try_from(ttl)?;
    Ok(Some(Timestamp::now().checked_add(ttl).context("the token would last too long")?))
}

fn random(length: usize) -> String {
    let letter = |_| char::from(LETTERS[rand::random_range(0..LETTERS.len())]);
    (0..length).map(letter).collect()
}

async fn list(cluster: &Cluster) -> anyhow::Result<()> {
    let tokens = cluster.secrets.list(&ListParams::default().fields(&format!("type={TYPE}"))).await?;
    println!("{:23}  {:20}  DESCRIPTION", "TOKEN", "EXPIRES");
    for token in tokens {
        let text = |key: &str| {
            let value = token.data.as_ref().and_then(|data| data.get(key));
            value.map(|value| String::from_utf8_lossy(&value.0).into_owned()).unwrap_or_default()
        };
        let shown = format!("{}.{}", text("token-id"), text("token-secret"));
        let expires = Some(text("expiration")).filter(|time| !time.is_empty());
        println!("{shown:23}  {:20}  {}", expires.as_deref().unwrap_or("never"), text("description"));
    }
    Ok(())
}

/// By its id, or by all of it.
async fn delete(cluster: &Cluster, token: &str) -> anyhow::Result<()> {
    let id = token.split('.').next().unwrap_or_default();
    let gone = cluster.secrets.delete(&format!("{PREFIX}{id}"), &DeleteParams::default()).await;
    gone.with_context(|| format!("cannot delete the token {id:?}"))?;
    println!("token {id} is deleted");
    Ok(())
}
