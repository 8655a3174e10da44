//! A guest that fills its disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{MIB, PATIENCE, millis};
use crate::cluster::Cluster;
use crate::http::guest;
use crate::measure::folder_on_disk;
use crate::table::{Row, Target};

const IMAGE: &str = "file-prober";
const LIMIT: u64 = 16 * MIB;
/// The file that the guest fills.
const FILE: &str = "fill";

pub(super) async fn run() -> Result<Vec<Row>> {
    let limit = LIMIT.to_string();
    let volume = Filled::watch(json!({ "sizeLimit": limit }), json!({})).await?;
    let container = Filled::watch(json!({}), json!({ "limits": { "ephemeral-storage": limit } })).await?;
    let [of_volume, volume_evicted] = volume
        .rows("stored in an emptyDir that a guest fills", "from its emptyDir's limit to the Pod's status as evicted");
    let [of_container, container_evicted] = container.rows(
        "stored by a container that fills its ephemeral storage",
        "from its ephemeral storage's limit to the Pod's status as evicted",
    );
    Ok(vec![of_volume, volume_evicted, of_container, container_evicted])
}

/// What became of a guest that filled its disk.
struct Filled {
    /// The most bytes that were in its file.
    most: u64,
    /// From the file's last growth to a status that says that the Pod was evicted.
    evicted: Duration,
    /// From the Pod's creation to the start of its file: what its start takes on the same machine.
    start: Duration,
}

impl Filled {
    async fn watch(empty_dir: Value, resources: Value) -> Result<Filled> {
        let dir = folder_on_disk()?;
        let cluster = Cluster::start(dir.path(), IMAGE, &guest::wasm(IMAGE)?).await?;
        let pods: Api<Pod> = Api::default_namespaced(cluster.admin.clone());
        let created = Instant::now();
        pods.create(&PostParams::default(), &pod(empty_dir, resources)?).await?;
        let filled = timeout(PATIENCE, look(&pods, dir.path(), created)).await;
        filled.context("a guest that fills its disk was not evicted")?
    }

    fn rows(&self, stored: &'static str, evicted: &'static str) -> [Row; 2] {
        let (most, limit) = (self.most as f64 / MIB as f64, (LIMIT / MIB) as f64);
        [
            Row {
                what: stored,
                unit: "MiB",
                ours: most,
                floor_is: "its limit",
                floor: limit,
                target: Target::Reaches(0.9),
            },
            Row {
                what: evicted,
                unit: "ms",
                ours: millis(self.evicted),
                floor_is: "the Pod's start",
                floor: millis(self.start),
                target: Target::None,
            },
        ]
    }
}

/// Looks at the file and at the Pod by turns, until the Pod is evicted.
async fn look(pods: &Api<Pod>, dir: &Path, created: Instant) -> Result<Filled> {
    let (mut file, mut most, mut grown, mut start) = (None, 0, Instant::now(), None);
    loop {
        file = file.or_else(|| find(dir));
        let length = file.as_ref().and_then(|file| fs::metadata(file).ok()).map_or(0, |meta| meta.len());
        if length > most {
            (most, grown) = (length, Instant::now());
            start.get_or_insert_with(|| created.elapsed());
        }
        let status = pods.get("fill").await?.status.unwrap_or_default();
        if status.phase.as_deref() == Some("Failed") {
            ensure!(status.reason.as_deref() == Some("Evicted"), "it failed otherwise: {status:?}");
            let start = start.context("it has stored nothing")?;
            return Ok(Filled { most, evicted: grown.elapsed(), start });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn find(dir: &Path) -> Option<PathBuf> {
    fs::read_dir(dir).ok()?.flatten().find_map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => find(&entry.path()),
        Ok(kind) if kind.is_file() && entry.file_name() == FILE => Some(entry.path()),
        _ => None,
    })
}

fn pod(empty_dir: Value, resources: Value) -> Result<Pod> {
    let container = json!({
        "name": "fill", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "args": ["fill", "/data"],
        "resources": resources, "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
    });
    Ok(serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "fill" },
        "spec": {
            "restartPolicy": "Never", "containers": [container],
            "volumes": [{ "name": "data", "emptyDir": empty_dir }],
        },
    }))?)
}
