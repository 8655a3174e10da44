//! A container's environment and arguments.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, EnvVarSource, Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::hostname::Hostname;
use super::sources::{SourceRef, Sources};
use super::spec::PodExt;
use crate::quantity;

/// What values may refer to, beside the Pod itself.
pub(crate) struct Facts<'a> {
    pub(crate) pod_ip: IpAddr,
    pub(crate) host_ip: IpAddr,
    pub(crate) sources: &'a Sources,
    /// The variables of Services.
    pub(crate) links: &'a [(String, String)],
    /// What the node can give, for `resourceFieldRef` where the container has no limit: by resource.
    pub(crate) allocatable: &'a dyn Fn(&str) -> Option<Quantity>,
}

/// The environment, in order; the error is the message of a CreateContainerConfigError.
pub(crate) fn environment(pod: &Pod, container: &Container, facts: &Facts) -> Result<Vec<(String, String)>, String> {
    let mut env = Environment::default();
    env.set("HOSTNAME", Hostname::of(pod).own()?.to_owned());
    for (name, value) in facts.links {
        env.set(name, value.clone());
    }
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or("");
        if let Some(map) = &from.config_map_ref {
            env.set_all(prefix, facts.whole(&SourceRef::ConfigMap(map.name.clone()), map.optional)?);
        }
        if let Some(secret) = &from.secret_ref {
            env.set_all(prefix, facts.whole(&SourceRef::Secret(secret.name.clone()), secret.optional)?);
        }
    }
    for var in container.env.iter().flatten() {
        let value = match (&var.value, &var.value_from) {
            (_, Some(from)) => value_from(pod, container, from, facts)?,
            (Some(value), None) => Some(env.expand(value)),
            (None, None) => Some(String::new()),
        };
        if let Some(value) = value {
            env.set(&var.name, value);
        }
    }
    Ok(env.ordered)
}

/// All arguments. A WebAssembly file has no entry point of its own to replace: `command` is the program's name and its
/// first arguments, where it is given; otherwise the program goes by the container's name. `args` follow.
pub(crate) fn arguments(container: &Container, env: &[(String, String)]) -> Vec<String> {
    let env = Environment::from_pairs(env);
    let command = container.command.as_deref().unwrap_or_default();
    let name = command.is_empty().then(|| container.name.clone());
    let rest = command.iter().chain(container.args.iter().flatten()).map(|arg| env.expand(arg));
    name.into_iter().chain(rest).collect()
}

#[derive(Default)]
struct Environment {
    ordered: Vec<(String, String)>,
    place: HashMap<String, usize>,
}

impl Environment {
    fn from_pairs(pairs: &[(String, String)]) -> Environment {
        let mut env = Environment::default();
        for (name, value) in pairs {
            env.set(name, value.clone());
        }
        env
    }

    fn set(&mut self, name: &str, value: String) {
        match self.place.get(name) {
            Some(place) => self.ordered[*place].1 = value,
            None => {
                self.place.insert(name.to_owned(), self.ordered.len());
                self.ordered.push((name.to_owned(), value));
            }
        }
    }

    fn set_all<'a>(&mut self, prefix: &str, values: impl Iterator<Item = (&'a String, &'a String)>) {
        for (name, value) in values {
            self.set(&format!("{prefix}{name}"), value.clone());
        }
    }

    /// Replaces `$(NAME)` by its value, if it has one, and `$$` by `$`.
    fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
                continue;
            }
            let name = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
            match name.and_then(|(name, after)| Some((self.place.get(name)?, after))) {
                Some((place, after)) => {
                    out.push_str(&self.ordered[*place].1);
                    rest = after;
                }
                None => out.push('$'),
            }
        }
        out + rest
    }
}

impl Facts<'_> {
    fn find(
        &self,
        source: &SourceRef,
        optional: bool,
    ) -> Result<Option<&std::collections::BTreeMap<String, String>>, String> {
        match self.sources.get(source) {
            Some(Some(found)) => Ok(Some(found)),
            _ if optional => Ok(None),
            _ => Err(match source {
                SourceRef::ConfigMap(name) => format!("configmap {name:?} not found"),
                SourceRef::Secret(name) => format!("secret {name:?} not found"),
            }),
        }
    }

    fn whole(
        &self,
        source: &SourceRef,
        optional: Option<bool>,
    ) -> Result<impl Iterator<Item = (&String, &String)>, String> {
        Ok(self.find(source, optional == Some(true))?.into_iter().flatten())
    }

    fn key(&self, pod: &Pod, source: SourceRef, key: &str, optional: Option<bool>) -> Result<Option<String>, String> {
        let optional = optional == Some(true);
        let Some(found) = self.find(&source, optional)? else { return Ok(None) };
        match found.get(key) {
            Some(value) => Ok(Some(value.clone())),
            None if optional => Ok(None),
            None => {
                let namespace = pod.reference().namespace;
                let (kind, name) = match source {
                    SourceRef::ConfigMap(name) => ("ConfigMap", name),
                    SourceRef::Secret(name) => ("Secret", name),
                };
                Err(format!("couldn't find key {key} in {kind} {namespace}/{name}"))
            }
        }
    }
}

fn value_from(pod: &Pod, container: &Container, from: &EnvVarSource, facts: &Facts) -> Result<Option<String>, String> {
    if let Some(key) = &from.config_map_key_ref {
        return facts.key(pod, SourceRef::ConfigMap(key.name.clone()), &key.key, key.optional);
    }
    if let Some(key) = &from.secret_key_ref {
        return facts.key(pod, SourceRef::Secret(key.name.clone()), &key.key, key.optional);
    }
    if let Some(field) = &from.field_ref {
        return self::field(pod, &field.field_path, facts).map(Some);
    }
    if let Some(resource) = &from.resource_field_ref {
        return self::resource(pod, Some(container), resource, facts.allocatable).map(Some);
    }
    Err("valueFrom names a source that this node does not support".to_owned())
}

fn field(pod: &Pod, path: &str, facts: &Facts) -> Result<String, String> {
    let meta = &pod.metadata;
    let from_map = |map: &Option<std::collections::BTreeMap<String, String>>, key: &str| {
        map.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default()
    };
    if let Some(key) = subscript(path, "metadata.labels") {
        return Ok(from_map(&meta.labels, key));
    }
    if let Some(key) = subscript(path, "metadata.annotations") {
        return Ok(from_map(&meta.annotations, key));
    }
    let spec = pod.spec();
    match path {
        "metadata.name" => Ok(pod.reference().name),
        "metadata.namespace" => Ok(pod.reference().namespace),
        "metadata.uid" => Ok(pod.reference().uid),
        "spec.nodeName" => Ok(spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default()),
        "spec.serviceAccountName" => Ok(spec.and_then(|spec| spec.service_account_name.clone()).unwrap_or_default()),
        "status.hostIP" | "status.hostIPs" => Ok(facts.host_ip.to_string()),
        "status.podIP" | "status.podIPs" => Ok(facts.pod_ip.to_string()),
        _ => Err(format!("unsupported fieldPath: {path}")),
    }
}

fn subscript<'a>(path: &'a str, map: &str) -> Option<&'a str> {
    path.strip_prefix(map)?.strip_prefix("['")?.strip_suffix("']")
}

/// A resource of the container that `field` names, as a kubelet writes it to a file.
pub(crate) fn resource_field(
    pod: &Pod,
    field: &ResourceFieldSelector,
    allocatable: &dyn Fn(&str) -> Option<Quantity>,
) -> Result<String, String> {
    resource(pod, None, field, allocatable)
}

fn resource(
    pod: &Pod,
    own: Option<&Container>,
    field: &ResourceFieldSelector,
    allocatable: &dyn Fn(&str) -> Option<Quantity>,
) -> Result<String, String> {
    let container = match field.container_name.as_deref() {
        Some(name) if !name.is_empty() => pod.containers().find(|container| container.name == name),
        _ => own.map(Cow::Borrowed),
    };
    let container = container.ok_or_else(|| format!("container {:?} not found", field.container_name))?;
    let unsupported = || format!("unsupported container resource : {}", field.resource);
    let (kind, name) = field.resource.split_once('.').ok_or_else(unsupported)?;
    let resources = container.resources.as_ref();
    let amount =
        |map: Option<&std::collections::BTreeMap<String, Quantity>>| map.and_then(|map| map.get(name)).cloned();
    let limits = amount(resources.and_then(|resources| resources.limits.as_ref()));
    let quantity = match kind {
        "limits" => limits.or_else(|| allocatable(name)),
        "requests" => amount(resources.and_then(|resources| resources.requests.as_ref())).or(limits),
        _ => return Err(unsupported()),
    };
    let amount = quantity.as_ref().and_then(quantity::millis).unwrap_or(0);
    let divisor = field.divisor.as_ref().and_then(quantity::millis).filter(|divisor| *divisor > 0).unwrap_or(1000);
    Ok(amount.div_ceil(divisor).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(container: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "ns", "uid": "u-1", "labels": {"app": "web"}},
            "spec": {"nodeName": "n1", "containers": [container]}
        }))
        .unwrap()
    }

    fn resolve(container: Value) -> Result<Vec<(String, String)>, String> {
        let pod = pod(container);
        let sources = Sources::from([
            (SourceRef::ConfigMap("cm".into()), Some([("k".to_owned(), "from-cm".to_owned())].into())),
            (SourceRef::Secret("s".into()), Some([("k".to_owned(), "from-secret".to_owned())].into())),
        ]);
        let facts = Facts {
            pod_ip: "10.244.0.2".parse().unwrap(),
            host_ip: "127.0.0.1".parse().unwrap(),
            sources: &sources,
            links: &[("DB_PORT".to_owned(), "tcp://10.0.0.1:1".to_owned())],
            allocatable: &|name| (name == "cpu").then(|| Quantity("2".into())),
        };
        environment(&pod, &pod.containers().next().unwrap(), &facts).map(|env| env[2..].to_vec())
    }

    #[test]
    fn values_come_from_where_they_are_said_to() {
        let cases = [
            (json!({"value": "plain"}), "plain"),
            (json!({}), ""),
            (json!({"valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}}), "from-cm"),
            (json!({"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}), "from-secret"),
            (json!({"valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}), "web"),
            (json!({"valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}), "10.244.0.2"),
            (json!({"valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}), "n1"),
            (json!({"valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}), "64"),
            (json!({"valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}), "2"),
            (json!({"valueFrom": {"resourceFieldRef": {"resource": "requests.memory"}}}), "67108864"),
        ];
        for (mut var, expected) in cases {
            var["name"] = json!("V");
            let container = json!({"name": "c", "env": [var.clone()], "resources": {"limits": {"memory": "64Mi"}}});
            assert_eq!(resolve(container).unwrap(), [("V".to_owned(), expected.to_owned())], "{var}");
        }
    }

    #[test]
    fn what_is_missing_is_named_unless_it_is_optional() {
        for (from, expected) in [
            (json!({"configMapKeyRef": {"name": "no", "key": "k"}}), "configmap \"no\" not found"),
            (json!({"secretKeyRef": {"name": "no", "key": "k"}}), "secret \"no\" not found"),
            (json!({"configMapKeyRef": {"name": "cm", "key": "z"}}), "couldn't find key z in ConfigMap ns/cm"),
            (json!({"fieldRef": {"fieldPath": "spec.x"}}), "unsupported fieldPath: spec.x"),
        ] {
            let container = json!({"name": "c", "env": [{"name": "V", "valueFrom": from}]});
            assert_eq!(resolve(container).unwrap_err(), expected);
        }
        let optional = json!({"configMapKeyRef": {"name": "no", "key": "k", "optional": true}});
        assert_eq!(resolve(json!({"name": "c", "env": [{"name": "V", "valueFrom": optional}]})).unwrap(), []);
    }

    #[test]
    fn later_values_win_and_may_use_earlier_ones() {
        let env = resolve(json!({
            "name": "c",
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}}],
            "env": [
                {"name": "k", "value": "own"},
                {"name": "A", "value": "$(k)-$(P_k)-$(NO)-$$(k)-$"},
                {"name": "B", "value": "$(DB_PORT)"},
            ]
        }))
        .unwrap();
        let pairs: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [("P_k", "from-cm"), ("k", "own"), ("A", "own-from-cm-$(NO)-$(k)-$"), ("B", "tcp://10.0.0.1:1")]
        );
    }

    #[test]
    fn arguments_begin_with_the_programs_name() {
        let env = [("V".to_owned(), "1".to_owned())];
        for (container, expected) in [
            (json!({"name": "c"}), vec!["c"]),
            (json!({"name": "c", "args": ["--n", "$(V)"]}), vec!["c", "--n", "1"]),
            (json!({"name": "c", "command": ["app", "x"], "args": ["y"]}), vec!["app", "x", "y"]),
        ] {
            let container: Container = serde_json::from_value(container).unwrap();
            assert_eq!(arguments(&container, &env), expected);
        }
    }
}
