//! What every namespace gets: the ServiceAccount `default`, and the cluster's CA as a ConfigMap.

use std::collections::BTreeMap;
use std::sync::Arc;

use carob_reconcile::{Informer, Next, ObjectKey, Queue, Reconcile, Whole, follow};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::context::Context;
use crate::write;

const WORKERS: usize = 4;
const ACCOUNT: &str = "default";
const CA: &str = "kube-root-ca.crt";
const WHY: &str = "kubernetes.io/description";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
                           endpoints such as the internal service IP or kubernetes.default.svc. No other usage is \
                           guaranteed across distributions of Kubernetes clusters.";

/// Starts the two controllers.
pub(crate) fn start(context: &mut Context<'_>, ca_pem: String) {
    let namespaces: Informer<Namespace> = context.informers.of();
    let accounts = Accounts {
        client: context.client("service-account-controller"),
        namespaces: namespaces.clone(),
        accounts: context.informers.of(),
    };
    let queue = queue(&namespaces);
    let wake = queue.clone();
    accounts.accounts.on_change(move |change| {
        let account = change.latest().filter(|account| account.metadata.name.as_deref() == Some(ACCOUNT));
        account.into_iter().for_each(|account| wake.add(namespace(&account.metadata)));
    });
    context.spawn(Arc::new(accounts), queue, WORKERS);

    let client = context.client("root-ca-cert-publisher");
    // The one kind that is not shared: nobody else here reads ConfigMaps, and of all only these matter.
    let published = Informer::<ConfigMap>::new("ConfigMap");
    let source = Whole { api: Api::all(client.clone()), fields: Some(format!("metadata.name={CA}")) };
    context.tasks.spawn(follow(source, published.clone()));
    let queue = self::queue(&namespaces);
    let wake = queue.clone();
    published.on_change(move |change| {
        change.latest().into_iter().for_each(|map| wake.add(namespace(&map.metadata)));
    });
    context.spawn(Arc::new(RootCa { client, namespaces, published, ca_pem }), queue, WORKERS);
}

fn queue(namespaces: &Informer<Namespace>) -> Arc<Queue<String>> {
    let queue = Arc::new(Queue::new());
    let wake = queue.clone();
    namespaces.on_change(move |change| {
        change
            .latest()
            .and_then(|namespace| namespace.metadata.name.clone())
            .into_iter()
            .for_each(|name| wake.add(name));
    });
    queue
}

fn namespace(meta: &ObjectMeta) -> String {
    meta.namespace.clone().unwrap_or_default()
}

fn is_alive(namespaces: &Informer<Namespace>, name: &str) -> bool {
    let namespace = namespaces.find(&ObjectKey::new("", name));
    namespace.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_none())
}

/// A namespace that ends, or something that is there already, is no failure.
fn settle<K>(result: kube::Result<K>) -> kube::Result<Option<K>> {
    match result {
        Ok(written) => Ok(Some(written)),
        Err(error) if write::is_terminating_namespace(&error) || write::is_gone(&error) => Ok(None),
        Err(error) if write::is_conflict(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

struct Accounts {
    client: Client,
    namespaces: Informer<Namespace>,
    accounts: Informer<ServiceAccount>,
}

impl Reconcile for Accounts {
    type Key = String;
    const NAME: &'static str = "service-account-controller";

    async fn reconcile(&self, namespace: String) -> kube::Result<Next> {
        self.namespaces.synced().await;
        self.accounts.synced().await;
        let is_there = self.accounts.find(&ObjectKey::new(&namespace, ACCOUNT)).is_some();
        if is_there || !is_alive(&self.namespaces, &namespace) {
            return Ok(Next::Done);
        }
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &namespace);
        let account = ServiceAccount {
            metadata: ObjectMeta { name: Some(ACCOUNT.into()), ..ObjectMeta::default() },
            ..ServiceAccount::default()
        };
        if let Some(created) = settle(api.create(&PostParams::default(), &account).await)? {
            self.accounts.observe(created);
        }
        Ok(Next::Done)
    }
}

struct RootCa {
    client: Client,
    namespaces: Informer<Namespace>,
    published: Informer<ConfigMap>,
    ca_pem: String,
}

impl Reconcile for RootCa {
    type Key = String;
    const NAME: &'static str = "root-ca-cert-publisher";

    async fn reconcile(&self, namespace: String) -> kube::Result<Next> {
        self.namespaces.synced().await;
        self.published.synced().await;
        if !is_alive(&self.namespaces, &namespace) {
            return Ok(Next::Done);
        }
        let data = BTreeMap::from([("ca.crt".to_owned(), self.ca_pem.clone())]);
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &namespace);
        let result = match self.published.find(&ObjectKey::new(&namespace, CA)) {
            Some(present) if present.data.as_ref() == Some(&data) => return Ok(Next::Done),
            Some(_) => api.patch(CA, &PatchParams::default(), &Patch::Merge(json!({ "data": data }))).await,
            None => api.create(&PostParams::default(), &config_map(data)).await,
        };
        if let Some(written) = settle(result)? {
            self.published.observe(written);
        }
        Ok(Next::Done)
    }
}

fn config_map(data: BTreeMap<String, String>) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(CA.into()),
            annotations: Some(BTreeMap::from([(WHY.into(), DESCRIPTION.into())])),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..ConfigMap::default()
    }
}
