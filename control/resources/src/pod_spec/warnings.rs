//! What a client should be told about a spec that is taken all the same.

use crate::Path;
use crate::json::{at, entries, int, list, text};
use serde_json::Value;

/// Labels of nodes that have other names by now: the old one, since when, and the new one.
const OLD_LABELS: [(&str, &str, &str); 5] = [
    ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
    ("failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"),
    ("beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"),
];

/// The warnings about a Pod's spec that stands at `path`, in Kubernetes' words.
pub(crate) fn spec_warnings(spec: &Value, path: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for (label, _) in entries(spec, "/nodeSelector") {
        warn_label(label, &path.child("nodeSelector").key(label), &mut warnings);
    }
    warn_repeated(spec, "imagePullSecrets", "name", path, &mut warnings);
    warn_repeated(spec, "hostAliases", "ip", path, &mut warnings);
    if int(spec, "/terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        let place = path.child("terminationGracePeriodSeconds");
        warnings.push(format!("{place}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    for field in ["initContainers", "containers"] {
        for (index, container) in list(spec, &format!("/{field}")).iter().enumerate() {
            warn_container(container, &path.child(field).index(index), &mut warnings);
        }
    }
    warnings
}

fn warn_label(label: &str, path: &Path, warnings: &mut Vec<String>) {
    if let Some((_, since, new)) = OLD_LABELS.iter().find(|(old, ..)| *old == label) {
        warnings.push(format!("{path}: deprecated since {since}; use {new:?} instead"));
    }
}

fn warn_repeated(spec: &Value, field: &str, key: &str, path: &Path, warnings: &mut Vec<String>) {
    let (items, pointer) = (list(spec, &format!("/{field}")), format!("/{key}"));
    for (index, item) in items.iter().enumerate() {
        let said = text(item, &pointer);
        if items[..index].iter().any(|earlier| text(earlier, &pointer) == said) {
            warnings.push(format!("{}: duplicate {key} {said:?}", path.child(field).index(index).child(key)));
        }
    }
}

fn warn_container(container: &Value, path: &Path, warnings: &mut Vec<String>) {
    let variables = list(container, "/env");
    for (index, variable) in variables.iter().enumerate() {
        let name = text(variable, "/name");
        let is_hidden = variables[..index].iter().any(|earlier| text(earlier, "/name") == name);
        // One that is made of the earlier one means it.
        if is_hidden && !text(variable, "/value").contains(&format!("$({name})")) {
            let place = path.child("env").index(index);
            let told = format!("{place}: hides previous definition of {name:?}, which may be dropped when using apply");
            warnings.push(told);
        }
    }
    warn_ports(list(container, "/ports"), &path.child("ports"), warnings);
    for kind in ["limits", "requests"] {
        for (name, amount) in entries(at(container, "/resources"), &format!("/{kind}")) {
            warn_fraction(name, amount, &path.child("resources").child(kind).key(name), warnings);
        }
    }
}

fn warn_ports(ports: &[Value], path: &Path, warnings: &mut Vec<String>) {
    let meant = |port: &Value| {
        let protocol = match text(port, "/protocol") {
            "" => "TCP".to_owned(),
            said => said.to_owned(),
        };
        (int(port, "/containerPort"), int(port, "/hostPort"), text(port, "/hostIP").to_owned(), protocol)
    };
    for (index, port) in ports.iter().enumerate() {
        if let Some(earlier) = ports[..index].iter().position(|earlier| meant(earlier) == meant(port)) {
            let (place, other) = (path.index(index), path.index(earlier));
            warnings.push(format!("{place}: duplicate port definition with {other}"));
        }
    }
}

/// Bytes come whole.
fn warn_fraction(name: &str, amount: &Value, path: &Path, warnings: &mut Vec<String>) {
    let quantity = crate::quantity::Quantity::from_json(amount);
    if matches!(name, "memory" | "ephemeral-storage") && quantity.is_ok_and(|quantity| !quantity.is_whole()) {
        let said = amount.as_str().unwrap_or_default();
        warnings.push(format!("{path}: fractional byte value {said:?} is invalid, must be an integer"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn warnings_are_those_of_kubernetes() {
        let spec = json!({
            "nodeSelector": { "beta.kubernetes.io/os": "linux", "zone": "a" },
            "imagePullSecrets": [{ "name": "a" }, { "name": "b" }, { "name": "a" }],
            "terminationGracePeriodSeconds": -1,
            "containers": [{
                "name": "c",
                "env": [
                    { "name": "A", "value": "1" }, { "name": "B", "value": "" }, { "name": "A", "value": "2" },
                    { "name": "B", "value": "$(B)2" },
                ],
                "ports": [{ "containerPort": 80, "protocol": "TCP" }, { "containerPort": 80, "protocol": "UDP" },
                    { "containerPort": 80, "protocol": "TCP" }],
                "resources": { "limits": { "memory": "100m", "cpu": "100m" } },
            }],
        });
        let expected = [
            "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
            "spec.imagePullSecrets[2].name: duplicate name \"a\"",
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
            "spec.containers[0].env[2]: hides previous definition of \"A\", which may be dropped when using apply",
            "spec.containers[0].ports[2]: duplicate port definition with spec.containers[0].ports[0]",
            "spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is invalid, must be an integer",
        ];
        assert_eq!(spec_warnings(&spec, &Path::new("spec")), expected);
    }

    #[test]
    fn a_plain_spec_has_none() {
        let spec =
            json!({ "containers": [{ "name": "c", "env": [{ "name": "A" }], "ports": [{ "containerPort": 80 }] }] });
        assert_eq!(spec_warnings(&spec, &Path::new("spec")), Vec::<String>::new());
    }
}
