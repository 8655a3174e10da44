use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::Node;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use tokio::time::{sleep, timeout};

/// How long the node and the samples may take, a first compilation included.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between looks whether a node is ready whose API server is away.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// How often a URL is asked until it answers.
const PERIOD: Duration = Duration::from_millis(50);

/// Waits until the node says that it is ready for Pods.
pub(crate) async fn node(client: &Client, name: &str) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    timeout(PATIENCE, await_condition(nodes, name, |node: Option<&Node>| node.is_some_and(is_ready)))
        .await
        .with_context(|| format!("node {name} did not become ready within {PATIENCE:?}; the log says why"))??;
    Ok(())
}

/// Waits as long as it takes, also while the API server cannot be reached.
pub(crate) async fn node_at_last(client: &Client, name: &str) {
    let nodes: Api<Node> = Api::all(client.clone());
    while let Err(error) = await_condition(nodes.clone(), name, |node: Option<&Node>| node.is_some_and(is_ready)).await
    {
        tracing::debug!(%error, "it cannot be seen whether the node is ready");
        sleep(BETWEEN_LOOKS).await;
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Waits until a GET of `url` is answered with 200.
pub(crate) async fn answers(url: &str) -> anyhow::Result<()> {
    let client: HttpClient<_, Empty<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
    let uri: http::Uri = url.parse()?;
    let answered = timeout(PATIENCE, async {
        while !client.get(uri.clone()).await.is_ok_and(|response| response.status() == http::StatusCode::OK) {
            sleep(PERIOD).await;
        }
    });
    if answered.await.is_err() {
        bail!("{url} did not answer within {PATIENCE:?}; `kubectl describe pods` and the log say why");
    }
    Ok(())
}

/// The line that says that the cluster is there, and where.
pub(crate) fn line(server: &str, kubeconfig: &Path, sample: Option<&str>) -> String {
    let sample = sample.map(|url| format!(", sample {url}")).unwrap_or_default();
    format!("ready: API {server}, kubeconfig {}{sample}", kubeconfig.display())
}
