//! Probes of servers at the Pod's own sockets: what they ask, and what they make of the answers.

use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::cluster::{Cluster, until};
use super::servers::{self, HttpServer, Page};

/// A Pod `p` whose one container has a probe that asks each second.
async fn create(cluster: &Cluster, kind: &str, mut probe: Value) {
    probe["periodSeconds"] = json!(1);
    // Nothing asks before the test has made its server.
    probe["initialDelaySeconds"] = json!(10);
    let container = json!({"name": "a", "image": "app", kind: probe});
    cluster.create("p", json!({"terminationGracePeriodSeconds": 0, "containers": [container]})).await;
}

async fn delete(cluster: &Cluster) {
    cluster.delete("p", DeleteParams::default().grace_period(0)).await;
    cluster.gone("p").await;
}

fn ready(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["ready"] == true
}

fn started(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["started"] == true
}

fn restarted(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["restartCount"] == 1
}

fn page(code: u16) -> Page {
    (code, Vec::new())
}

#[tokio::test(start_paused = true)]
async fn readiness_by_http_comes_and_goes_by_its_thresholds() {
    let cluster = Cluster::start().await;
    let probe = json!({"httpGet": {"port": 8080}, "successThreshold": 2, "failureThreshold": 3});
    create(&cluster, "readinessProbe", probe).await;
    let server = servers::http(&*cluster.container("a", 0).await, 8080, false);
    cluster.pod_when("p", ready).await;
    assert!(server.count() >= 2, "{}", server.count());

    // One more success in between makes the failures begin anew.
    for code in [500, 200, 404] {
        let before = server.count();
        *server.says.lock() = page(code);
        until(|| (server.count() > before).then_some(())).await;
    }
    let before = server.count();
    cluster.pod_when("p", |pod| !ready(pod)).await;
    assert!(server.count() >= before + 2, "{} after {before}", server.count());
    *server.says.lock() = page(399);
    let before = server.count();
    cluster.pod_when("p", ready).await;
    assert!(server.count() >= before + 2, "{} after {before}", server.count());
}

#[tokio::test(start_paused = true)]
async fn startup_and_liveness_by_http_end_a_container_after_their_thresholds() {
    let cluster = Cluster::start().await;
    create(&cluster, "startupProbe", json!({"httpGet": {"port": 8080}, "failureThreshold": 4})).await;
    let server = servers::http(&*cluster.container("a", 0).await, 8080, false);
    *server.says.lock() = page(503);
    until(|| (server.count() == 3).then_some(())).await;
    *server.says.lock() = page(200);
    cluster.pod_when("p", started).await;
    let count = server.count();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(server.count(), count, "a startup probe has an end");
    drop(server);
    delete(&cluster).await;

    create(&cluster, "livenessProbe", json!({"httpGet": {"port": 8080}, "failureThreshold": 4})).await;
    let first = cluster.container("a", 1).await;
    let server = servers::http(&first, 8080, false);
    until(|| (server.count() == 20).then_some(())).await;
    assert!(!first.has_ended());
    *server.says.lock() = page(503);
    let before = server.count();
    cluster.pod_when("p", restarted).await;
    assert!((3..=5).contains(&(server.count() - before)), "{} after {before}", server.count());
    drop(server);
    delete(&cluster).await;

    create(&cluster, "startupProbe", json!({"httpGet": {"port": 8080}, "failureThreshold": 4})).await;
    let server = servers::http(&*cluster.container("a", 3).await, 8080, false);
    *server.says.lock() = page(503);
    cluster.pod_when("p", restarted).await;
    assert_eq!(server.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_request_has_the_headers_of_a_kubelet_and_those_that_the_probe_names() {
    let cluster = Cluster::start().await;
    let own = |pairs: &[(&str, &str)]| -> Value {
        pairs.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
    };
    let kubelet = ("user-agent", vec!["kube-probe/1.37"]);
    let anything = ("accept", vec!["*/*"]);
    for (n, (given, expected)) in [
        (own(&[]), vec![kubelet.clone(), anything.clone(), ("connection", vec!["close"])]),
        (
            own(&[("Host", "a.b"), ("X-One", "1"), ("x-one", "2")]),
            vec![kubelet.clone(), anything, ("host", vec!["a.b"]), ("x-one", vec!["1", "2"])],
        ),
        (own(&[("User-Agent", "me"), ("Accept", "")]), vec![("user-agent", vec!["me"]), ("accept", vec![])]),
        (own(&[("Accept", "text/plain")]), vec![kubelet, ("accept", vec!["text/plain"])]),
    ]
    .into_iter()
    .enumerate()
    {
        let get = json!({"port": 8080, "path": "healthz?full=1", "httpHeaders": given});
        create(&cluster, "readinessProbe", json!({"httpGet": get})).await;
        let server = servers::http(&*cluster.container("a", n).await, 8080, false);
        cluster.pod_when("p", ready).await;
        let (path, headers) = server.asked().remove(0);
        assert_eq!(path, "/healthz?full=1");
        for (name, values) in expected {
            assert_eq!(headers.get_all(name).iter().collect::<Vec<_>>(), values, "{name} with {given}");
        }
        delete(&cluster).await;
    }
}

/// What a probe of a server says that answers so.
async fn told(cluster: &Cluster, n: usize, page: Page) -> (HttpServer, Value, Vec<(String, String)>) {
    create(cluster, "readinessProbe", json!({"httpGet": {"port": 8080, "path": "/a/b"}, "failureThreshold": 1})).await;
    let server = servers::http(&*cluster.container("a", n).await, 8080, false);
    *server.says.lock() = page;
    until(|| (server.count() > 0).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let pod = cluster.running("p").await;
    let events = cluster.events("p").await;
    let own = events.into_iter().filter(|(reason, _)| reason == "Unhealthy" || reason == "ProbeWarning");
    // Those before had its name, too.
    let mut own: Vec<_> = own.collect();
    own.dedup();
    (server, pod, own)
}

#[tokio::test(start_paused = true)]
async fn redirects_are_followed_within_the_host_and_told_when_they_lead_out() {
    let cluster = Cluster::start().await;
    let found = |location: &str| (302, vec![("location", location.to_owned())]);
    let warning = (
        "ProbeWarning".to_owned(),
        "Readiness probe warning: Probe terminated redirects, Response body: body".to_owned(),
    );
    for (n, location) in ["http://192.0.2.9/elsewhere", "//other:8080/"].into_iter().enumerate() {
        let (_server, pod, events) = told(&cluster, n, found(location)).await;
        assert_eq!((ready(&pod), events), (true, vec![warning.clone()]), "{location}");
        delete(&cluster).await;
    }
    // Nowhere to go, or no redirect at all: that is an answer.
    for (n, page) in [page(302), (305, vec![("location", "/x".to_owned())])].into_iter().enumerate() {
        let (_server, pod, events) = told(&cluster, 2 + n, page).await;
        assert_eq!((ready(&pod), events), (true, vec![warning.clone()]));
        delete(&cluster).await;
    }
    let (server, pod, events) = told(&cluster, 4, found("../c?d=1")).await;
    assert!(!ready(&pod), "it goes round in circles");
    assert!(events.iter().any(|(_, message)| message.ends_with("/c?d=1\": stopped after 10 redirects")), "{events:?}");
    let paths: Vec<String> = server.asked().into_iter().take(10).map(|(path, _)| path).collect();
    assert_eq!((paths[0].as_str(), paths[1].as_str(), paths[9].as_str()), ("/a/b", "/c?d=1", "/c?d=1"));
}

#[tokio::test(start_paused = true)]
async fn https_is_spoken_with_whoever_is_there() {
    let cluster = Cluster::start().await;
    let probe = json!({"httpGet": {"port": 8443, "scheme": "HTTPS"}, "failureThreshold": 1});
    create(&cluster, "readinessProbe", probe.clone()).await;
    let server = servers::http(&*cluster.container("a", 0).await, 8443, true);
    cluster.pod_when("p", ready).await;
    *server.says.lock() = page(500);
    cluster.pod_when("p", |pod| !ready(pod)).await;
    delete(&cluster).await;

    create(&cluster, "readinessProbe", probe).await;
    let plain = servers::http(&*cluster.container("a", 1).await, 8443, false);
    cluster.event("p", "Unhealthy", "Readiness probe failed: Get \"https://10.244.").await;
    let words = "8443/\": http: server gave HTTP response to HTTPS client";
    assert!(cluster.events("p").await.iter().any(|(_, message)| message.ends_with(words)));
    assert!(!ready(&cluster.running("p").await));
    assert_eq!(plain.count(), 0, "a probe does not fall back to HTTP");
}

#[tokio::test(start_paused = true)]
async fn grpc_health_decides_of_each_kind() {
    let cluster = Cluster::start().await;
    let probe = |failures: u32| json!({"grpc": {"port": 9090, "service": "db"}, "failureThreshold": failures});
    create(&cluster, "readinessProbe", probe(2)).await;
    let server = servers::grpc(&*cluster.container("a", 0).await, 9090);
    cluster.pod_when("p", ready).await;
    assert_eq!(server.asked()[0], [0, 0, 0, 0, 4, 0x0a, 2, b'd', b'b']);
    *server.says.lock() = 2;
    cluster.pod_when("p", |pod| !ready(pod)).await;
    assert!(server.count() >= 2);
    let words = "Readiness probe failed: service unhealthy (responded with \"NOT_SERVING\")";
    assert!(cluster.events("p").await.iter().any(|(_, message)| message == words));
    delete(&cluster).await;

    create(&cluster, "startupProbe", probe(9)).await;
    let server = servers::grpc(&*cluster.container("a", 1).await, 9090);
    *server.says.lock() = 0;
    until(|| (server.count() == 3).then_some(())).await;
    *server.says.lock() = 1;
    cluster.pod_when("p", started).await;
    delete(&cluster).await;

    create(&cluster, "livenessProbe", probe(3)).await;
    let server = servers::grpc(&*cluster.container("a", 2).await, 9090);
    until(|| (server.count() == 20).then_some(())).await;
    *server.says.lock() = 2;
    cluster.pod_when("p", restarted).await;
    assert!((22..=24).contains(&server.count()), "{}", server.count());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_waited_for_as_long_as_the_probe_says() {
    let cluster = Cluster::start().await;
    for (n, (action, words)) in [
        ("httpGet", "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
        ("grpc", "timeout: health rpc did not complete within 3s"),
    ]
    .into_iter()
    .enumerate()
    {
        create(&cluster, "livenessProbe", json!({action: {"port": 8080}, "timeoutSeconds": 3, "failureThreshold": 1}))
            .await;
        let _server = servers::serve(&*cluster.container("a", n * 2).await, 8080, |stream| async move {
            let _held = stream;
            std::future::pending().await
        });
        cluster.pod_when("p", restarted).await;
        let events = cluster.events("p").await;
        assert!(events.iter().any(|(_, message)| message.ends_with(words)), "{events:?}");
        delete(&cluster).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_cannot_be_asked_is_told_and_decides_nothing() {
    let cluster = Cluster::start().await;
    let probe = json!({"exec": {"command": ["sh"]}, "failureThreshold": 1});
    create(&cluster, "livenessProbe", probe.clone()).await;
    let words = "Liveness probe errored and resulted in unknown state: exec: \"sh\"";
    cluster.event("p", "Unhealthy", words).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!cluster.container("a", 0).await.has_ended());
    delete(&cluster).await;
    create(&cluster, "readinessProbe", probe).await;
    cluster.running("p").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!ready(&cluster.running("p").await));
}
