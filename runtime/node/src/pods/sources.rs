//! The ConfigMaps and Secrets that a container's environment is made of.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Container, Secret};
use kube::{Api, Client};

/// An object that values come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SourceRef {
    ConfigMap(String),
    Secret(String),
}

/// What was found; `None` is an object that does not exist.
pub(crate) type Sources = BTreeMap<SourceRef, Option<BTreeMap<String, String>>>;

/// Reads what the container refers to, each object once.
pub(crate) async fn fetch(client: &Client, namespace: &str, container: &Container) -> Result<Sources, kube::Error> {
    let mut sources = Sources::new();
    for source in references(container).collect::<BTreeSet<_>>() {
        let found = read(client, namespace, &source).await?;
        sources.insert(source, found);
    }
    Ok(sources)
}

fn references(container: &Container) -> impl Iterator<Item = SourceRef> {
    let whole = container.env_from.iter().flatten().flat_map(|from| {
        let config_map = from.config_map_ref.as_ref().map(|from| SourceRef::ConfigMap(from.name.clone()));
        let secret = from.secret_ref.as_ref().map(|from| SourceRef::Secret(from.name.clone()));
        [config_map, secret]
    });
    let single = container.env.iter().flatten().filter_map(|var| var.value_from.as_ref()).flat_map(|from| {
        let config_map = from.config_map_key_ref.as_ref().map(|key| SourceRef::ConfigMap(key.name.clone()));
        let secret = from.secret_key_ref.as_ref().map(|key| SourceRef::Secret(key.name.clone()));
        [config_map, secret]
    });
    whole.chain(single).flatten()
}

pub(super) async fn read(
    client: &Client,
    namespace: &str,
    source: &SourceRef,
) -> Result<Option<BTreeMap<String, String>>, kube::Error> {
    match source {
        SourceRef::ConfigMap(name) => {
            let found = Api::<ConfigMap>::namespaced(client.clone(), namespace).get_opt(name).await?;
            Ok(found.map(|map| map.data.unwrap_or_default()))
        }
        SourceRef::Secret(name) => {
            let found = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await?;
            Ok(found.map(|secret| {
                let data = secret.data.unwrap_or_default().into_iter();
                data.map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned())).collect()
            }))
        }
    }
}
