//! A node that runs out of disk: who has to go, what is told, and that it recovers.

use std::io::Write;

use carob_tests::{Cluster, Disk, Kubectl, eventually};
use serde_json::Value;

const DISK: Disk = Disk { size: 192, threshold: 64 };

/// A Pod with a volume, of this priority class, that has asked for so much storage.
fn pod(name: &str, class: &str, request: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  priorityClassName: "{class}"
  containers:
    - name: main
      image: samples/counter:1
      args: ["--count", "1000000", "--period-ms", "1000"]
      resources: {{requests: {{ephemeral-storage: {request}}}}}
      volumeMounts: [{{name: data, mountPath: /data}}]
  volumes: [{{name: data, emptyDir: {{}}}}]
"#
    )
}

/// Has a Pod store so many MiB.
fn store(kubectl: &Kubectl, name: &str, mebibytes: usize) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&vec![b'x'; mebibytes << 20]).expect("it can be written");
    let path = file.path().to_str().expect("UTF-8");
    // Whoever is evicted meanwhile takes no more.
    kubectl.attempt(&["cp", path, &format!("{name}:/data/file")]);
}

fn condition(kubectl: &Kubectl) -> String {
    kubectl.field(&["nodes"], "{.items[0].status.conditions[?(@.type=='DiskPressure')].status}")
}

fn taints(kubectl: &Kubectl) -> String {
    kubectl.field(&["nodes"], "{.items[0].spec.taints[*].key}")
}

#[test]
fn the_pod_that_took_the_disk_goes_and_the_node_recovers() {
    let cluster = Cluster::on(DISK);
    let kubectl = cluster.namespace("pressure");
    for (name, class, request) in
        [("critical", "system-cluster-critical", "1Mi"), ("modest", "", "40Mi"), ("hoarder", "", "1Mi")]
    {
        kubectl.apply(&pod(name, class, request));
        kubectl.run(&["wait", &format!("pod/{name}"), "--for=jsonpath={.status.phase}=Running", "--timeout=120s"]);
    }
    assert_eq!((condition(&kubectl).as_str(), taints(&kubectl).as_str()), ("False", ""));
    // The most is stored by the one that the cluster needs, and nothing out of order by the one that has asked for it.
    for (name, mebibytes) in [("critical", 50), ("modest", 20), ("hoarder", 65)] {
        store(&kubectl, name, mebibytes);
    }
    eventually("the node says that it is short", || condition(&kubectl) == "True");
    eventually("the node is tainted", || taints(&kubectl).contains("node.kubernetes.io/disk-pressure"));
    eventually("the Pod has ended", || kubectl.field(&["pod", "hoarder"], "{.status.phase}") == "Failed");
    let status = kubectl.json(&["pod", "hoarder"])["status"].take();
    assert_eq!(status["reason"], "Evicted");
    let message = status["message"].as_str().expect("it says why");
    let words = "The node was low on resource: ephemeral-storage. Threshold quantity: 64Mi, available: ";
    assert!(message.starts_with(words), "{message}");
    assert!(disrupted(&status), "{status:#}");

    kubectl.apply(&pod("late", "", "1Mi"));
    eventually("the node has recovered", || condition(&kubectl) == "False" && taints(&kubectl).is_empty());
    kubectl.run(&["wait", "pod/late", "--for=jsonpath={.status.phase}=Running", "--timeout=120s"]);
    for name in ["critical", "modest"] {
        assert_eq!(kubectl.field(&["pod", name], "{.status.phase}"), "Running", "{name}");
    }
}

fn disrupted(status: &Value) -> bool {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.any(|one| one["type"] == "DisruptionTarget" && one["status"] == "True")
}
