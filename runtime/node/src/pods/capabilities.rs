//! What a Pod's annotations grant to its containers.
//!
//! `config.carob.dev/CONTAINER: configmap/NAME, secret/NAME?` adds the entries of ConfigMaps and Secrets to what
//! `wasi:config` answers; the question mark allows an object to be missing. A later one overrides an earlier one, and the
//! container's environment overrides them all.
//!
//! `keyvalue.carob.dev/CONTAINER: NAME, NAME:ro` opens buckets of the Pod's namespace through `wasi:keyvalue`.

use std::collections::BTreeMap;

use carob_engine::{BucketGrant, Capabilities};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Api, ResourceExt};

use super::context::Context;
use super::sources::{self, SourceRef};
use super::spec::PodExt;
use crate::errors::said;

/// Prefixes of annotations; the container's name follows.
const CONFIG: &str = "config.carob.dev/";
pub(crate) const KEYVALUE: &str = "keyvalue.carob.dev/";

/// Reads and opens what the annotations declare. The error is the message of a CreateContainerConfigError.
pub(super) async fn grant(
    context: &Context,
    pod: &Pod,
    container: &str,
    env: &[(String, String)],
) -> Result<Capabilities, String> {
    let declared = Declared::read(pod, container)?;
    let mut config = BTreeMap::new();
    for from in &declared.config {
        config.extend(from.entries(context, pod).await?);
    }
    config.extend(env.iter().cloned());
    Ok(Capabilities { config, buckets: buckets(context, pod, declared.buckets).await? })
}

async fn buckets(
    context: &Context,
    pod: &Pod,
    declared: BTreeMap<String, bool>,
) -> Result<BTreeMap<String, BucketGrant>, String> {
    let mut buckets = BTreeMap::new();
    if declared.is_empty() {
        return Ok(buckets);
    }
    let namespace = pod.reference().namespace;
    let found = Api::<Namespace>::all(context.client.clone()).get(&namespace).await.map_err(|error| said(&error))?;
    let uid = found.uid().unwrap_or_default();
    for (name, writable) in declared {
        let bucket = context.buckets.bucket(&uid, &name).await?;
        buckets.insert(name, BucketGrant { bucket, writable });
    }
    Ok(buckets)
}

/// What the annotations say of one container.
#[derive(Debug, Default, PartialEq, Eq)]
struct Declared {
    config: Vec<ConfigFrom>,
    /// Buckets by name; whether they may be changed.
    buckets: BTreeMap<String, bool>,
}

#[derive(Debug, PartialEq, Eq)]
struct ConfigFrom {
    source: SourceRef,
    optional: bool,
}

impl Declared {
    fn read(pod: &Pod, container: &str) -> Result<Declared, String> {
        let config = items(pod, CONFIG, container, ConfigFrom::parse)?;
        let buckets = items(pod, KEYVALUE, container, bucket)?;
        Ok(Declared { config, buckets: buckets.into_iter().collect() })
    }
}

/// The parts of an annotation's list.
fn items<T>(
    pod: &Pod,
    prefix: &str,
    container: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let name = format!("{prefix}{container}");
    let value = pod.metadata.annotations.as_ref().and_then(|all| all.get(&name)).map_or("", String::as_str);
    let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| parse(item).map_err(|why| format!("annotation {name}: {item:?} {why}"))).collect()
}

fn bucket(item: &str) -> Result<(String, bool), String> {
    let (name, writable) = match item.split_once(':') {
        None => (item, true),
        Some((name, "rw")) => (name, true),
        Some((name, "ro")) => (name, false),
        Some(_) => return Err("is not NAME, NAME:rw or NAME:ro".to_owned()),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 63 || !name.chars().all(is_plain) {
        return Err("names no bucket: 1 to 63 letters, digits, '-', '_' and '.'".to_owned());
    }
    Ok((name.to_owned(), writable))
}

impl ConfigFrom {
    fn parse(item: &str) -> Result<ConfigFrom, String> {
        let (item, optional) = item.strip_suffix('?').map_or((item, false), |item| (item, true));
        let source = match item.split_once('/') {
            Some(("configmap", name)) if !name.is_empty() => SourceRef::ConfigMap(name.to_owned()),
            Some(("secret", name)) if !name.is_empty() => SourceRef::Secret(name.to_owned()),
            _ => return Err("is not configmap/NAME or secret/NAME, with a ? where it may be missing".to_owned()),
        };
        Ok(ConfigFrom { source, optional })
    }

    async fn entries(&self, context: &Context, pod: &Pod) -> Result<BTreeMap<String, String>, String> {
        let found = sources::read(&context.client, &pod.reference().namespace, &self.source).await;
        match found.map_err(|error| said(&error))? {
            Some(entries) => Ok(entries),
            None if self.optional => Ok(BTreeMap::new()),
            None => Err(match &self.source {
                SourceRef::ConfigMap(name) => format!("configmap {name:?} not found"),
                SourceRef::Secret(name) => format!("secret {name:?} not found"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(annotations: serde_json::Value) -> Result<Declared, String> {
        Declared::read(&serde_json::from_value(json!({"metadata": {"annotations": annotations}})).unwrap(), "app")
    }

    #[test]
    fn annotations_name_what_their_container_gets() {
        assert_eq!(read(json!({"config.carob.dev/other": "nonsense"})), Ok(Declared::default()));
        let declared = read(json!({
            "config.carob.dev/app": "configmap/settings, secret/keys?\n",
            "keyvalue.carob.dev/app": "counts,settings:ro, log_2.x:rw"
        }));
        let config = vec![
            ConfigFrom { source: SourceRef::ConfigMap("settings".into()), optional: false },
            ConfigFrom { source: SourceRef::Secret("keys".into()), optional: true },
        ];
        let buckets = [("counts", true), ("settings", false), ("log_2.x", true)];
        let buckets = buckets.map(|(name, writable)| (name.to_owned(), writable)).into();
        assert_eq!(declared, Ok(Declared { config, buckets }));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_annotation() {
        let cases = [
            ("config.carob.dev/app", "settings", "\"settings\" is not configmap/NAME"),
            ("config.carob.dev/app", "configmap/", "is not configmap/NAME"),
            ("config.carob.dev/app", "file/x", "is not configmap/NAME"),
            ("keyvalue.carob.dev/app", "a:read", "\"a:read\" is not NAME, NAME:rw or NAME:ro"),
            ("keyvalue.carob.dev/app", "a b", "names no bucket"),
            ("keyvalue.carob.dev/app", "ok, :ro", "\":ro\" names no bucket"),
        ];
        for (name, value, expected) in cases {
            let error = read(json!({name: value})).unwrap_err();
            assert!(error.starts_with(&format!("annotation {name}: ")) && error.contains(expected), "{value}: {error}");
        }
    }
}
