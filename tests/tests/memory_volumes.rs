//! Volumes of medium Memory: what they hold counts with their Pod's memory.

use std::io::Write;

use carob_tests::{Cluster, Kubectl, Outcome, eventually};

/// Has a container store so many MiB.
fn store(kubectl: &Kubectl, target: &str, mebibytes: usize) -> Outcome {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&vec![b'x'; mebibytes << 20]).expect("it can be written");
    kubectl.attempt(&["cp", file.path().to_str().expect("UTF-8"), target])
}

#[test]
fn a_pod_that_fills_its_memory_volume_stays_within_its_limit() {
    let kubectl = Cluster::shared().namespace("memory-volume");
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: samples/counter:1
      args: ["--count", "1000000", "--period-ms", "1000"]
      resources: {limits: {memory: 32Mi}}
      volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {medium: Memory}}]
"#,
    );
    kubectl.run(&["wait", "pod/p", "--for=jsonpath={.status.phase}=Running", "--timeout=90s"]);
    let refused = store(&kubectl, "p:/data/file", 64);
    assert!(refused.code != 0 && refused.stderr.contains("No space left on device"), "{refused:?}");
    let size = kubectl.run(&["exec", "p", "--", "wc", "-c", "/data/file"]);
    let size: u64 = size.split_whitespace().next().and_then(|size| size.parse().ok()).expect("wc counts");
    assert!((16 << 20..32 << 20).contains(&size), "{size}");
    kubectl.run(&["exec", "p", "--", "rm", "/data/file"]);
    let again = store(&kubectl, "p:/data/file", 8);
    assert_eq!(again.code, 0, "what was removed may be written again: {again:?}");
    assert_eq!(kubectl.field(&["pod", "p"], "{.status.phase}"), "Running");
}

#[test]
fn a_container_that_grows_into_what_the_volumes_hold_is_killed_and_its_sibling_is_not() {
    let kubectl = Cluster::shared().namespace("memory-volume-growth");
    kubectl.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: keeper
      image: samples/counter:1
      args: ["--count", "1000000", "--period-ms", "1000"]
      resources: {limits: {memory: 96Mi}}
      volumeMounts: [{name: data, mountPath: /data}]
    - name: eater
      image: samples/misbehave:1
      args: [eat-memory]
      resources: {limits: {memory: 96Mi}}
      volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {medium: Memory}}]
"#,
    );
    kubectl.run(&["wait", "pod/p", "--for=jsonpath={.status.containerStatuses[?(@.name=='keeper')].started}=true"]);
    eventually("the volume is filled between two runs of the eater", || store(&kubectl, "p:/data/file", 128).code == 0);
    let end = "{.status.containerStatuses[?(@.name=='eater')].lastState.terminated";
    let ends = |field: &str| kubectl.field(&["pod", "p"], &format!("{end}.{field}}}"));
    eventually("the eater meets what the volume holds", || ends("message").contains("the containers' common limit"));
    assert_eq!((ends("reason").as_str(), ends("exitCode").as_str()), ("OOMKilled", "137"));
    let keeper = "{.status.phase} {.status.containerStatuses[?(@.name=='keeper')].restartCount}";
    assert_eq!(kubectl.field(&["pod", "p"], keeper), "Running 0");
    assert_eq!(
        kubectl.run(&["exec", "p", "--container", "keeper", "--", "wc", "-c", "/data/file"]).trim(),
        "134217728 /data/file"
    );
}
