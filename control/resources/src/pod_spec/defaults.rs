use super::resources::canonical_quantities;
use super::volumes::default_volume;
use crate::json::{fill, fill_text, flag, int, items_mut, section, set, text};
use serde_json::{Value, json};

const CONTAINER_LISTS: [&str; 3] = ["/initContainers", "/containers", "/ephemeralContainers"];
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];

/// Fills in what a Pod's spec leaves out, in a Pod and in a template alike.
pub(crate) fn default_spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    fill_text(spec, "restartPolicy", "Always");
    fill_text(spec, "dnsPolicy", "ClusterFirst");
    fill_text(spec, "schedulerName", "default-scheduler");
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill(spec, "securityContext", json!({}));
    default_account(spec);
    let host_network = flag(spec, "/hostNetwork");
    for list in CONTAINER_LISTS {
        items_mut(spec, list).for_each(|container| default_container(container, host_network));
    }
    items_mut(spec, "/volumes").for_each(default_volume);
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are always shown.
fn default_account(spec: &mut Value) {
    let account = match text(spec, "/serviceAccountName") {
        "" => text(spec, "/serviceAccount"),
        name => name,
    };
    if !account.is_empty() {
        let account = account.to_owned();
        set(spec, "serviceAccount", account.as_str());
        set(spec, "serviceAccountName", account);
    }
}

fn default_container(container: &mut Value, host_network: bool) {
    let policy = if is_latest(text(container, "/image")) { "Always" } else { "IfNotPresent" };
    fill_text(container, "imagePullPolicy", policy);
    fill_text(container, "terminationMessagePath", "/dev/termination-log");
    fill_text(container, "terminationMessagePolicy", "File");
    if let Some(resources) = section(container, "resources") {
        canonical_quantities(resources, "limits");
        canonical_quantities(resources, "requests");
    }
    items_mut(container, "/ports").for_each(|port| default_port(port, host_network));
    items_mut(container, "/env").for_each(default_env);
    for probe in PROBES {
        if let Some(probe) = container.get_mut(probe).filter(|probe| probe.is_object()) {
            default_probe(probe);
        }
    }
    for hook in ["/lifecycle/postStart", "/lifecycle/preStop"] {
        if let Some(hook) = container.pointer_mut(hook) {
            default_http_get(hook);
        }
    }
}

/// Whether an image's tag is `latest`, said or unsaid. An image named by its digest alone is not.
fn is_latest(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_none(),
    }
}

fn default_port(port: &mut Value, host_network: bool) {
    fill_text(port, "protocol", "TCP");
    if host_network && int(port, "/hostPort").unwrap_or(0) == 0 {
        let number = int(port, "/containerPort").unwrap_or(0);
        set(port, "hostPort", number);
    }
}

fn default_env(variable: &mut Value) {
    if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
        fill_text(field, "apiVersion", "v1");
    }
    if let Some(resource) = variable.pointer_mut("/valueFrom/resourceFieldRef") {
        fill(resource, "divisor", "0");
    }
}

fn default_probe(probe: &mut Value) {
    for (field, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        if int(probe, &format!("/{field}")).unwrap_or(0) == 0 {
            set(probe, field, value);
        }
    }
    if let Some(grpc) = probe.get_mut("grpc") {
        fill(grpc, "service", "");
    }
    default_http_get(probe);
}

fn default_http_get(handler: &mut Value) {
    if let Some(get) = handler.get_mut("httpGet") {
        fill_text(get, "path", "/");
        fill_text(get, "scheme", "HTTP");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pull_policy_follows_the_tag() {
        let cases = [
            ("hello", true),
            ("hello:latest", true),
            ("hello:1", false),
            ("registry:5000/hello", true),
            ("registry:5000/hello:1", false),
            ("hello@sha256:00", false),
            ("hello:latest@sha256:00", true),
        ];
        for (image, latest) in cases {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }

    #[test]
    fn what_is_left_out_is_filled_in_once() {
        let mut spec = json!({
            "hostNetwork": true,
            "serviceAccount": "robot",
            "containers": [{
                "name": "a", "image": "hello:1",
                "ports": [{ "containerPort": 80 }],
                "env": [{ "name": "IP", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } }],
                "resources": { "limits": { "memory": "1024Mi", "cpu": 1 } },
                "readinessProbe": { "httpGet": { "port": 80 }, "periodSeconds": 2 },
            }],
            "volumes": [{ "name": "v" }, { "name": "c", "configMap": { "name": "x" } }],
        });
        default_spec(&mut spec);
        let once = spec.clone();
        default_spec(&mut spec);
        assert_eq!(spec, once);
        assert_eq!(
            spec,
            json!({
                "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
                "terminationGracePeriodSeconds": 30, "securityContext": {}, "hostNetwork": true,
                "serviceAccount": "robot", "serviceAccountName": "robot",
                "containers": [{
                    "name": "a", "image": "hello:1", "imagePullPolicy": "IfNotPresent",
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                    "ports": [{ "containerPort": 80, "hostPort": 80, "protocol": "TCP" }],
                    "env": [{ "name": "IP", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP", "apiVersion": "v1" } } }],
                    "resources": { "limits": { "memory": "1Gi", "cpu": "1" } },
                    "readinessProbe": { "httpGet": { "port": 80, "path": "/", "scheme": "HTTP" }, "periodSeconds": 2,
                        "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3 },
                }],
                "volumes": [{ "name": "v", "emptyDir": {} }, { "name": "c", "configMap": { "name": "x", "defaultMode": 420 } }],
            })
        );
    }
}
