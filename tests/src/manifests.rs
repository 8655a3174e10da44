//! Objects that many tests begin with.

/// A Deployment of the sample `hello-http`.
#[must_use]
pub fn deployment(name: &str, replicas: u32) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{app: {name}}}
spec:
  replicas: {replicas}
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      containers:
        - name: hello
          image: samples/hello-http:1
          ports:
            - {{name: http, containerPort: 8080}}
"#
    )
}

/// What a Pod of `hello-http` is that says on which node it is, and stays on a lost one for a second only.
const EVICTABLE: &str = "tolerations: [{operator: Exists, effect: NoExecute, tolerationSeconds: 1}], \
    containers: [{name: hello, image: 'samples/hello-http:1', ports: [{name: http, containerPort: 8080}], \
    env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]}]";

/// A Deployment of such Pods.
#[must_use]
pub fn evictable(name: &str, replicas: u32) -> String {
    let labels = format!("{{app: {name}}}");
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{replicas: {replicas}, selector: \
         {{matchLabels: {labels}}}, template: {{metadata: {{labels: {labels}}}, spec: {{{EVICTABLE}}}}}}}}}"
    )
}

/// Such a Pod, on this node only.
#[must_use]
pub fn on_node(name: &str, node: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: {name}}}}}, spec: {{nodeSelector: \
         {{kubernetes.io/hostname: {node}}}, {EVICTABLE}}}}}"
    )
}

/// A Pod of the sample `front` on this node, which passes on what this URL answers.
#[must_use]
pub fn front(name: &str, node: &str, backend: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: {name}}}}}, spec: {{nodeSelector: \
         {{kubernetes.io/hostname: {node}}}, containers: [{{name: front, image: 'samples/front:1', ports: [{{name: http, \
         containerPort: 8080}}], env: [{{name: BACKEND, value: '{backend}'}}]}}]}}}}"
    )
}

/// A Pod of the sample `hello-http`: it runs until it is deleted.
#[must_use]
pub fn server(name: &str) -> String {
    pod(name, "Always", "{name: hello, image: 'samples/hello-http:1', ports: [{name: http, containerPort: 8080}]}")
}

/// A Pod of the sample `counter`, which prints numbers and exits.
#[must_use]
pub fn counter(name: &str, restart_policy: &str, arguments: &[&str]) -> String {
    pod(name, restart_policy, &format!("{{name: counter, image: 'samples/counter:1', args: {arguments:?}}}"))
}

/// A Pod of the sample `misbehave`, which may use 32 MiB.
#[must_use]
pub fn misbehave(name: &str, restart_policy: &str, arguments: &[&str]) -> String {
    let limits = "resources: {limits: {memory: 32Mi}}";
    let container = format!("{{name: misbehave, image: 'samples/misbehave:1', args: {arguments:?}, {limits}}}");
    pod(name, restart_policy, &container)
}

fn pod(name: &str, restart_policy: &str, container: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  labels: {{app: {name}}}
spec:
  restartPolicy: {restart_policy}
  containers: [{container}]
"#
    )
}

/// A `ConfigMap` with one entry.
#[must_use]
pub fn config_map(name: &str, key: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{{key}: {value:?}}}\n")
}

/// A Service at a node port of its own, for the Pods of [`deployment`].
#[must_use]
pub fn node_port(name: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  type: NodePort
  selector: {{app: {name}}}
  ports:
    - {{name: http, port: 80, targetPort: http}}
"#
    )
}

/// The same, of which each node sends to Pods of its own only.
#[must_use]
pub fn local_node_port(name: &str) -> String {
    format!("{}  externalTrafficPolicy: Local\n", node_port(name))
}
