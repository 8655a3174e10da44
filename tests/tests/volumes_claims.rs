//! Storage that outlives its Pods: claims, the volumes that nodes make for them, and what becomes of both.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::path::PathBuf;
use std::sync::OnceLock;

use carob_tests::{Cluster, Kubectl, eventually, samples};

/// The cluster of this file, which has the guest that looks at files.
fn shared() -> &'static Cluster {
    static LOADED: OnceLock<()> = OnceLock::new();
    LOADED.get_or_init(|| load(Cluster::shared()));
    Cluster::shared()
}

fn load(cluster: &Cluster) {
    cluster.load(&samples().join("file-prober.wasm"), "samples/file-prober:1");
}

fn claim(name: &str, more: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}}}
spec:
  accessModes: [ReadWriteOnce]
  resources: {{requests: {{storage: 64Mi}}}}
  {more}
"#
    )
}

/// A Pod that does one thing with the claim `data`, mounted at `/data`, and ends.
fn prober(name: &str, arguments: &[&str]) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  containers:
    - name: prober
      image: samples/file-prober:1
      args: {arguments:?}
      volumeMounts:
        - {{name: data, mountPath: /data}}
  volumes:
    - name: data
      persistentVolumeClaim: {{claimName: data}}
"#
    )
}

/// Runs the Pod to its end, which must be good, and answers what it printed.
fn run(kubectl: &Kubectl, name: &str, arguments: &[&str]) -> String {
    kubectl.apply(&prober(name, arguments));
    eventually(&format!("{name} has ended well"), || phase(kubectl, "pod", name) == "Succeeded");
    kubectl.run(&["logs", name])
}

fn phase(kubectl: &Kubectl, kind: &str, name: &str) -> String {
    kubectl.field(&[kind, name, "--ignore-not-found"], "{.status.phase}")
}

fn told(kubectl: &Kubectl, object: &str, reason: &str, message: &str) {
    eventually(&format!("{object} is told {reason}: {message}"), || {
        let selector = format!("--field-selector=involvedObject.name={object},reason={reason}");
        kubectl.field(&["events", &selector], "{.items[*].message}").contains(message)
    });
}

/// The volume of the claim `data`, and its folder on this machine.
fn volume(kubectl: &Kubectl) -> (String, PathBuf) {
    let name = kubectl.field(&["pvc", "data"], "{.spec.volumeName}");
    let folder = kubectl.field(&["pv", &name], "{.spec.local.path}");
    (name, folder.into())
}

#[test]
fn data_outlive_pods_and_kills_and_end_with_their_claim() {
    let mut cluster = Cluster::start();
    load(&cluster);
    let kubectl = cluster.namespace("outlive");
    kubectl.apply(&claim("data", ""));
    told(&kubectl, "data", "WaitForFirstConsumer", "waiting for first consumer to be created before binding");
    assert_eq!(phase(&kubectl, "pvc", "data"), "Pending");

    run(&kubectl, "writer", &["write", "/data/file", "kept"]);
    assert_eq!(phase(&kubectl, "pvc", "data"), "Bound");
    told(&kubectl, "data", "ProvisioningSucceeded", "Successfully provisioned volume pvc-");
    let (volume, folder) = volume(&kubectl);
    assert!(folder.starts_with(cluster.data_dir()), "{}", folder.display());
    let row = kubectl.run(&["get", "pvc", "data", "--no-headers"]);
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[..6], ["data", "Bound", volume.as_str(), "64Mi", "RWO", "local-path"]);
    kubectl.run(&["delete", "pod", "writer"]);

    cluster.kill_and_restart();
    assert_eq!(run(&kubectl, "reader", &["show", "/data/file"]), "/data/file: kept\n");

    // A claim that is in use waits for its last user.
    kubectl.run(&["delete", "pvc", "data", "--wait=false"]);
    assert!(kubectl.run(&["get", "pvc", "data", "--no-headers"]).contains("Terminating"));
    kubectl.run(&["delete", "pod", "reader"]);
    kubectl.run(&["wait", "--for=delete", &format!("pv/{volume}"), "--timeout=90s"]);
    assert!(!folder.exists(), "{}", folder.display());
}

#[test]
fn a_kept_volume_stays_with_what_is_in_it() {
    let kubectl = shared().namespace("kept");
    kubectl.apply(
        "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: kept}, \
         provisioner: carob.dev/local-path, reclaimPolicy: Retain}",
    );
    // A class that binds at once does not wait for a Pod.
    kubectl.apply(&claim("data", "storageClassName: kept"));
    eventually("the claim is bound", || phase(&kubectl, "pvc", "data") == "Bound");
    run(&kubectl, "writer", &["write", "/data/file", "kept"]);
    let (volume, folder) = volume(&kubectl);
    kubectl.run(&["delete", "pod/writer", "pvc/data"]);
    eventually("the volume is released", || phase(&kubectl, "pv", &volume) == "Released");
    kubectl.run(&["delete", "pv", &volume]);
    assert_eq!(std::fs::read_to_string(folder.join("file")).unwrap(), "kept");
}

#[test]
fn a_pod_waits_for_its_claim_and_says_so() {
    let kubectl = shared().namespace("waits");
    kubectl.apply(&prober("web", &["list", "/data"]));
    told(&kubectl, "web", "FailedScheduling", "persistentvolumeclaim \"data\" not found");
    kubectl.apply(&claim("data", "storageClassName: ''"));
    told(&kubectl, "web", "FailedScheduling", "pod has unbound immediate PersistentVolumeClaims");
    assert_eq!(phase(&kubectl, "pod", "web"), "Pending");

    let folder = tempfile::tempdir().unwrap();
    kubectl.apply(&format!(
        "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: brought}}, spec: {{capacity: {{storage: 1Gi}}, \
         accessModes: [ReadWriteOnce], hostPath: {{path: {}}}}}}}",
        folder.path().display()
    ));
    eventually("the Pod has ended well", || phase(&kubectl, "pod", "web") == "Succeeded");
    assert_eq!(kubectl.field(&["pvc", "data"], "{.spec.volumeName}"), "brought");
    kubectl.run(&["delete", "pod/web", "pvc/data", "pv/brought"]);
}

#[test]
fn a_volume_holds_what_its_claim_asked_for_and_says_how_much() {
    let kubectl = shared().namespace("full");
    kubectl.apply(&claim("data", "").replace("64Mi", "8Mi"));
    let counting = prober("keeper", &["--count", "1000000", "--period-ms", "1000"]);
    kubectl.apply(&counting.replace("samples/file-prober:1", "samples/counter:1"));
    kubectl.run(&["wait", "pod/keeper", "--for=jsonpath={.status.phase}=Running", "--timeout=90s"]);
    let store = |mebibytes: usize| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![b'x'; mebibytes << 20]).unwrap();
        kubectl.attempt(&["cp", file.path().to_str().unwrap(), "keeper:/data/file"])
    };
    let refused = store(16);
    assert!(refused.code != 0 && refused.stderr.contains("No space left on device"), "{refused:?}");
    let (_, folder) = volume(&kubectl);
    let held = std::fs::metadata(folder.join("file")).unwrap().len();
    assert!((7 << 20..=8 << 20).contains(&held), "{held}");
    kubectl.run(&["exec", "keeper", "--", "rm", "/data/file"]);
    let again = store(4);
    assert_eq!(again.code, 0, "what was removed may be written again: {again:?}");
    assert_eq!(phase(&kubectl, "pod", "keeper"), "Running");

    let node = kubectl.field(&["nodes"], "{.items[0].metadata.name}");
    let summary = kubectl.run(&["get", "--raw", &format!("/api/v1/nodes/{node}/proxy/stats/summary")]);
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let pods = summary["pods"].as_array().unwrap();
    let pod = pods.iter().find(|pod| pod["podRef"]["namespace"] == "full").unwrap();
    let mut volumes = pod["volume"].as_array().unwrap().iter();
    let told = volumes.find(|volume| volume["name"] == "data").unwrap();
    assert_eq!(told["pvcRef"], serde_json::json!({"name": "data", "namespace": "full"}));
    assert_eq!(told["capacityBytes"], 8 << 20);
    let used = told["usedBytes"].as_u64().unwrap();
    assert!((4 << 20..5 << 20).contains(&used), "{told}");
    assert_eq!(told["availableBytes"].as_u64(), Some((8 << 20) - used));
    kubectl.run(&["delete", "pod/keeper", "pvc/data", "--grace-period=1"]);
}

#[test]
fn the_default_class_is_marked_and_its_claims_do_not_grow() {
    let kubectl = shared().namespace("grows");
    let row = kubectl.run(&["get", "storageclass", "local-path", "--no-headers"]);
    assert!(row.starts_with("local-path (default)   carob.dev/local-path   Delete"), "{row}");
    kubectl.apply(&claim("data", ""));
    run(&kubectl, "user", &["list", "/data"]);
    let more = r#"{"spec": {"resources": {"requests": {"storage": "128Mi"}}}}"#;
    let refused = kubectl.attempt(&["patch", "pvc", "data", "--patch", more]);
    assert!(refused.stderr.contains("only dynamically provisioned pvc can be resized"), "{}", refused.stderr);
    kubectl.run(&["delete", "pod/user", "pvc/data"]);
}
