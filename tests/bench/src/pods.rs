//! Many Pods in a whole cluster: how long a Deployment takes from none to many Ready, what it holds in memory, and that
//! each Pod answers at its own address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use carob_net::{HttpRoute, Network, Networks, TcpOptions, TcpStream, Workload};
use futures::future::try_join_all;
use http::Request;
use http_body_util::{BodyExt, Empty};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cluster::Cluster;
use crate::floor::GroupCommit;
use crate::table::{Row, Target};

/// What the Pods are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Guest {
    /// Answers HTTP with its Pod's name; idle it has no instance.
    Http,
    /// Listens at a TCP socket, and is alive while it does.
    Socket,
}

impl Guest {
    fn image(self) -> (&'static str, &'static [u8]) {
        match self {
            Guest::Http => ("hello-http", include_bytes!("../../../samples/dist/hello-http.wasm")),
            Guest::Socket => ("tcp-echo", include_bytes!("../../../samples/dist/tcp-echo.wasm")),
        }
    }

    async fn answers(self, network: &Arc<dyn Network>, ip: IpAddr, name: &str) -> Result<()> {
        match self {
            Guest::Http => {
                let text = get(network, SocketAddr::new(ip, 8080)).await?;
                anyhow::ensure!(text.contains(name), "{name} at {ip} says: {text}");
            }
            Guest::Socket => echo(network, SocketAddr::new(ip, 7)).await.with_context(|| format!("{name} at {ip}"))?,
        }
        Ok(())
    }

    fn labels(self, pods: usize) -> [&'static str; 3] {
        match (self, pods) {
            (Guest::Socket, _) => [
                "Deployment, 0 to 1,000 listening at a socket",
                "resident, idle cluster",
                "resident, for each Pod that listens",
            ],
            (Guest::Http, 1_000) => {
                ["Deployment, 0 to 1,000 Ready", "resident, idle cluster", "resident, for each idle HTTP Pod of 1,000"]
            }
            (Guest::Http, _) => [
                "Deployment, 0 to 10,000 Ready",
                "resident, idle cluster",
                "resident, for each idle HTTP Pod of 10,000",
            ],
        }
    }
}

/// The address from which the Pods are asked, of a Pod on another node.
const ASKER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 244, 255, 1));

/// Has so many Pods run, and asks each of them at its own address.
pub(crate) async fn run(guest: Guest, pods: usize) -> Result<Vec<Row>> {
    let dir = tempfile::tempdir()?;
    let bare = resident()?;
    let cluster = Many::start(dir.path(), guest).await?;
    let idle = resident()?;
    let begun = Instant::now();
    cluster.scale(pods).await?;
    cluster.ready(pods).await?;
    let took = begun.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let full = resident()?;
    let objects = cluster.pods().await?;
    cluster.each_answers(guest, &objects).await?;
    let object = serde_json::to_vec(objects.first().context("there are Pods")?)?;
    let floor = commits(dir.path(), &object, 3 * pods).await?;
    let [all_ready, idle_cluster, each] = guest.labels(pods);
    Ok(vec![
        row(all_ready, "s", took.as_secs_f64(), "3 group commits for each Pod", floor.as_secs_f64()),
        row(idle_cluster, "MiB", idle / MIB, "this process before it", bare / MIB),
        row(each, "KiB", (full - idle) / 1024.0 / pods as f64, "its JSON", kib(&object)),
    ])
}

const MIB: f64 = 1024.0 * 1024.0;

fn kib(bytes: &[u8]) -> f64 {
    bytes.len() as f64 / 1024.0
}

fn row(what: &'static str, unit: &'static str, ours: f64, floor_is: &'static str, floor: f64) -> Row {
    Row { what, unit, ours, floor_is, floor, target: Target::None }
}

/// Resident memory of this process, in bytes.
fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS is in it")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}

/// What no implementation can do without: each Pod is created, bound and reported. So many commits, as many at a time as a
/// writer gathers.
async fn commits(dir: &Path, object: &[u8], count: usize) -> Result<Duration> {
    const AT_A_TIME: usize = 1_000;
    let log = GroupCommit::open(&dir.join("floor"))?;
    let begun = Instant::now();
    let each = async || {
        for _ in 0..count / AT_A_TIME {
            log.append(object.to_vec()).await?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..AT_A_TIME).map(|_| each())).await?;
    Ok(begun.elapsed())
}

/// A cluster with one Deployment of many Pods.
struct Many {
    cluster: Cluster,
}

impl Many {
    async fn start(dir: &Path, guest: Guest) -> Result<Many> {
        let (name, image) = guest.image();
        let many = Many { cluster: Cluster::start(dir, name, image).await? };
        many.settle(name).await?;
        Ok(many)
    }

    /// Has one Pod run, so that the image is compiled.
    async fn settle(&self, image: &str) -> Result<()> {
        self.deployments().create(&PostParams::default(), &deployment(image)?).await?;
        self.scale(1).await?;
        self.ready(1).await?;
        self.scale(0).await?;
        while !self.pods().await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn scale(&self, replicas: usize) -> Result<()> {
        let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        self.deployments().patch("many", &PatchParams::default(), &patch).await?;
        Ok(())
    }

    async fn ready(&self, replicas: usize) -> Result<()> {
        loop {
            let status = self.deployments().get("many").await?.status.unwrap_or_default();
            if status.ready_replicas == Some(i32::try_from(replicas)?) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks every Pod at its own address, through the node's network. A Pod may be Ready before its guest listens.
    async fn each_answers(&self, guest: Guest, pods: &[Pod]) -> Result<()> {
        let (namespace, name, addresses) = ("default".into(), "asker".into(), vec![ASKER]);
        let network = self.cluster.mesh.join(Workload {
            namespace,
            name,
            addresses,
            hosts: vec![],
            names: Default::default(),
        })?;
        for pod in pods {
            let name = pod.metadata.name.as_deref().context("a Pod has a name")?;
            let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).context("a Pod has an address")?;
            let patience = Instant::now() + Duration::from_secs(60);
            while let Err(error) = guest.answers(&network, ip.parse()?, name).await {
                anyhow::ensure!(Instant::now() < patience, "{error:#}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    async fn pods(&self) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::default_namespaced(self.cluster.admin.clone());
        Ok(pods.list(&ListParams::default()).await?.items)
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::default_namespaced(self.cluster.admin.clone())
    }
}

async fn get(network: &Arc<dyn Network>, at: SocketAddr) -> Result<String> {
    let HttpRoute::InProcess(service) = network.http_route(at)? else { anyhow::bail!("{at} is not in this process") };
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let request = Request::get(format!("http://{at}/")).body(body)?;
    let response = service.call(request).await.map_err(|(refused, _)| refused)?;
    let bytes = response.into_body().collect().await.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec())?)
}

/// Sends some bytes, and gets them back.
async fn echo(network: &Arc<dyn Network>, at: SocketAddr) -> Result<()> {
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let mut stream = TcpStream::from(network.bind_tcp(any)?.connect(at, TcpOptions::default()).await?);
    let (text, mut answer) = ([7; 64], [0; 64]);
    stream.write_all(&text).await?;
    stream.read_exact(&mut answer).await?;
    anyhow::ensure!(answer == text, "the echo is another");
    Ok(stream.shutdown().await?)
}

fn deployment(image: &str) -> Result<Deployment> {
    let labels = json!({ "app": "many" });
    let name = json!({ "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } });
    let container = json!({ "name": "web", "image": image, "imagePullPolicy": "IfNotPresent", "env": [name] });
    Ok(serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "many" },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": [container] } },
        },
    }))?)
}
