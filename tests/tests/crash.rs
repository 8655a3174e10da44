//! `kill -9` under concurrent writers, again and again: what was acknowledged is there, and the Pods run again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use carob_tests::{Cluster, Kubectl, Load, Report, eventually, manifests};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const KILLS: usize = 20;
const WRITERS: usize = 16;
/// So many writes are acknowledged before each kill.
const WRITES: usize = 200;
const NAMESPACE: &str = "crash";

/// What must be there: the value of each object, by name.
type Ledger = BTreeMap<String, String>;

/// One writer's account of a round.
struct Account {
    /// What was acknowledged; no value: its deletion was.
    acknowledged: BTreeMap<String, Option<String>>,
    /// The object of the write that got no answer, which may have happened or not.
    unanswered: Option<String>,
    /// The newest revision it was told.
    revision: u64,
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let runtime = Runtime::new().unwrap();
    let mut cluster = Cluster::start();
    let kubectl = cluster.namespace(NAMESPACE);
    kubectl.apply(&manifests::deployment("web", 3));
    kubectl.apply(&manifests::node_port("web"));
    let address = wait_for_pods(&cluster, &kubectl);
    let mut ledger = Ledger::new();
    let mut revision = 0;
    for kill in 0..KILLS {
        let counted = Arc::new(AtomicUsize::new(0));
        let writers = runtime.block_on(start_writers(&cluster, kill, &counted));
        let load = Load::start(address, 1);
        eventually("enough was written", || counted.load(Ordering::Relaxed) >= WRITES);
        cluster.kill_and_restart();
        check_answers(&load.finish());
        let accounts = runtime.block_on(writers.join_all());
        let found = runtime.block_on(read_all(&cluster));
        for account in accounts {
            settle(&mut ledger, &found, account, &mut revision);
        }
        assert_eq!(found.objects, ledger, "after kill {kill}");
        assert!(found.revision >= revision, "revision {} after {revision} was told", found.revision);
    }
    assert_eq!(wait_for_pods(&cluster, &kubectl), address, "the node port is another one");
}

/// Waits for the Deployment to be ready and its Service to answer, and tells where.
fn wait_for_pods(cluster: &Cluster, kubectl: &Kubectl) -> SocketAddr {
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    let port = kubectl.field(&["service", "web"], "{.spec.ports[0].nodePort}");
    let address = SocketAddr::new(cluster.node_port_address().into(), port.parse().unwrap());
    eventually("the Service answers", || Load::start(address, 1).finish().failures.is_empty());
    eventually("every Pod runs", || kubectl.field(&["pods"], "{.items[*].status.phase}") == "Running Running Running");
    address
}

/// Whoever asks the Service during a kill gets the Pods' answer, a connection that breaks, or, while the Pods are started
/// again, the word that none is ready. Never half an answer for a whole one, or somebody else's.
fn check_answers(report: &Report) {
    assert_eq!(report.bodies, ["Hello, world!\n"], "{:?}", report.failures.first());
    let expected =
        ["no answer", "half an answer", "503 Service Unavailable: Service crash/web port http has no ready endpoint"];
    let odd = report.failures.iter().find(|failure| !expected.iter().any(|begin| failure.starts_with(begin)));
    assert_eq!(odd, None);
}

async fn start_writers(cluster: &Cluster, kill: usize, counted: &Arc<AtomicUsize>) -> JoinSet<Account> {
    let maps = config_maps(cluster).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write_until_it_breaks(maps.clone(), format!("w{writer}-k{kill}"), counted.clone()));
    }
    writers
}

/// Creates, replaces and deletes objects of its own, until a request gets no answer.
async fn write_until_it_breaks(maps: Api<ConfigMap>, prefix: String, counted: Arc<AtomicUsize>) -> Account {
    let mut account = Account { acknowledged: BTreeMap::new(), unanswered: None, revision: 0 };
    for number in 0.. {
        let name = format!("{prefix}-{number}");
        for step in ["created", "replaced", "deleted"] {
            // Every fourth object lives on.
            if step == "deleted" && number % 4 == 0 {
                continue;
            }
            match write(&maps, &name, step).await {
                Ok(revision) => {
                    counted.fetch_add(1, Ordering::Relaxed);
                    account.revision = account.revision.max(revision);
                    account.acknowledged.insert(name.clone(), (step != "deleted").then(|| step.to_owned()));
                }
                Err(kube::Error::Api(status)) => panic!("{step} {name}: {status:?}"),
                Err(_) => {
                    account.unanswered = Some(name);
                    return account;
                }
            }
        }
    }
    account
}

/// One write; answers the object's revision, 0 for a deletion.
async fn write(maps: &Api<ConfigMap>, name: &str, step: &str) -> kube::Result<u64> {
    let object = ConfigMap {
        metadata: kube::core::ObjectMeta { name: Some(name.to_owned()), ..Default::default() },
        data: Some(BTreeMap::from([("step".to_owned(), step.to_owned())])),
        ..Default::default()
    };
    let written = match step {
        "created" => maps.create(&PostParams::default(), &object).await?,
        "replaced" => maps.replace(name, &PostParams::default(), &object).await?,
        _ => {
            maps.delete(name, &DeleteParams::default()).await?;
            return Ok(0);
        }
    };
    Ok(written.resource_version().unwrap().parse().unwrap())
}

struct Found {
    objects: Ledger,
    revision: u64,
}

/// What the restarted cluster has.
async fn read_all(cluster: &Cluster) -> Found {
    let list = config_maps(cluster).await.list(&ListParams::default()).await.unwrap();
    let revision = list.metadata.resource_version.as_deref().unwrap().parse().unwrap();
    let value = |map: &ConfigMap| map.data.as_ref().and_then(|data| data.get("step")).cloned();
    let objects = list.items.iter().filter_map(|map| Some((map.name_any(), value(map)?))).collect();
    Found { objects, revision }
}

/// Puts a writer's account into the ledger; of its unanswered write, either outcome is right.
fn settle(ledger: &mut Ledger, found: &Found, account: Account, revision: &mut u64) {
    *revision = account.revision.max(*revision);
    for (name, value) in account.acknowledged {
        match value {
            Some(value) => ledger.insert(name, value),
            None => ledger.remove(&name),
        };
    }
    let Some(name) = account.unanswered else { return };
    let steps = [None, Some("created"), Some("replaced"), None];
    let (before, after) = (ledger.get(&name).map(String::as_str), found.objects.get(&name).map(String::as_str));
    let fits = steps.windows(2).any(|pair| pair == [before, after]) || before == after;
    assert!(fits, "{name} was {before:?} and is {after:?}");
    match after {
        Some(value) => ledger.insert(name, value.to_owned()),
        None => ledger.remove(&name),
    };
}

async fn config_maps(cluster: &Cluster) -> Api<ConfigMap> {
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Api::namespaced(Client::try_from(config).unwrap(), NAMESPACE)
}
