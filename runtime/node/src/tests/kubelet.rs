//! The kubelet's API.

use super::cluster::Cluster;
use crate::runtime::Stream;

#[tokio::test(start_paused = true)]
async fn logs_of_the_running_and_the_previous_container() {
    let cluster = Cluster::start().await;
    cluster.create_single("p", "Always").await;
    let first = cluster.container("a", 0).await;
    first.output.write(Stream::Stdout, b"from the first\n");
    cluster.running("p").await;
    let logs = "/containerLogs/default/p/a";
    let (code, text) = cluster.kubelet(&format!("{logs}?previous=true")).await;
    assert_eq!((code, text.as_str()), (400, "previous terminated container \"a\" in pod \"p\" not found"));

    first.exit(1);
    let second = cluster.container("a", 1).await;
    second.output.write(Stream::Stdout, b"one\ntwo\n");
    cluster.pod_when("p", |pod| pod["status"]["containerStatuses"][0]["restartCount"] == 1).await;
    for (query, expected) in [
        ("", "one\ntwo\n"),
        ("?tailLines=1", "two\n"),
        ("?limitBytes=2", "on"),
        ("?previous=true", "from the first\n"),
        ("?previous=false&timestamps=0", "one\ntwo\n"),
        ("?sinceSeconds=3600", "one\ntwo\n"),
        ("?stream=Stderr", ""),
    ] {
        assert_eq!(cluster.kubelet(&format!("{logs}{query}")).await, (200, expected.to_owned()), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn following_ends_with_the_container() {
    let cluster = Cluster::start().await;
    cluster.create_single("p", "Never").await;
    cluster.running("p").await;
    let container = cluster.container("a", 0).await;
    let follow = cluster.kubelet("/containerLogs/default/p/a?follow=true");
    let print = async {
        container.output.write(Stream::Stdout, b"first\n");
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        container.output.write(Stream::Stderr, b"last, unfinished");
        container.exit(0);
    };
    let ((code, text), ()) = tokio::join!(follow, print);
    assert_eq!((code, text.as_str()), (200, "first\nlast, unfinished\n"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_or_not_sensible_is_refused_with_words() {
    let cluster = Cluster::start().await;
    cluster.create("p", serde_json::json!({"containers": [{"name": "a", "image": "absent:1"}]})).await;
    let waits = |pod: &serde_json::Value| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    };
    cluster.pod_when("p", waits).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for (path, code, text) in [
        ("/containerLogs/default/q/a", 404, "pod \"q\" not found"),
        ("/containerLogs/default/p/b", 404, "container \"b\" not found in pod \"p\""),
        ("/containerLogs/default/p/a", 400, "container \"a\" in pod \"p\" is waiting to start: ImagePullBackOff"),
    ] {
        let (found, message) = cluster.kubelet(path).await;
        assert_eq!(found, code, "{path}");
        assert!(message.contains(text), "{path}: {message}");
    }
}

#[tokio::test(start_paused = true)]
async fn pods_and_what_they_use_are_shown() {
    let cluster = Cluster::start().await;
    cluster.create_single("p", "Always").await;
    cluster.running("p").await;
    assert_eq!(cluster.kubelet("/healthz").await, (200, "ok".to_owned()));
    let parse = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    assert_eq!(parse(cluster.kubelet("/pods").await.1)["items"][0]["metadata"]["name"], "p");
    let summary = parse(cluster.kubelet("/stats/summary").await.1);
    assert_eq!(summary["pods"][0]["containers"][0]["cpu"]["usageCoreNanoSeconds"], 1_500_000_000);
    let metrics = cluster.kubelet("/metrics/resource").await.1;
    let denied = cluster.kubelet("/metrics").await.1;
    let line = "carob_network_flows_denied_total{direction=\"egress\",protocol=\"tcp\",reason=\"shield\"} 0";
    assert!(denied.lines().any(|found| found == line), "{denied}");
    let line = "container_memory_working_set_bytes{container=\"a\",namespace=\"default\",pod=\"p\"} 65536";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
}
