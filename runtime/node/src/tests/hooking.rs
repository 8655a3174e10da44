//! Hooks, probes, sidecars and ephemeral containers, on a node whose containers do as they are told.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::cluster::{Cluster, until};
use super::servers;

fn told(events: &[(String, String)], reason: &str, message: &str) -> bool {
    events.iter().any(|(r, m)| r == reason && m.starts_with(message))
}

fn exec(words: &[&str]) -> Value {
    json!({"exec": {"command": words}})
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_comes_before_and_ends_after_the_others() {
    let cluster = Cluster::start().await;
    cluster.runtime.serve("side");
    let startup = json!({"exec": {"command": ["exit", "0"]}, "initialDelaySeconds": 20});
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [
            {"name": "side", "image": "app", "restartPolicy": "Always", "startupProbe": startup},
            {"name": "init", "image": "app"},
        ],
        "containers": [{"name": "a", "image": "app"}],
    });
    cluster.create("p", spec).await;
    let side = cluster.container("side", 0).await;
    let at = tokio::time::Instant::now();
    let init = cluster.container("init", 0).await;
    assert!(at.elapsed() >= Duration::from_secs(19), "it waits for the startup probe");
    assert!(cluster.runtime.started("a").is_empty());
    init.exit(0);
    let main = cluster.container("a", 0).await;
    cluster.running("p").await;

    side.exit(1);
    let again = cluster.container("side", 1).await;
    main.exit(0);
    cluster.pod_when("p", |pod| pod["status"]["phase"] == "Succeeded").await;
    assert!(again.has_ended(), "a sidecar does not keep a Pod from completing");
    assert_eq!((cluster.runtime.started("side").len(), cluster.runtime.started("init").len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failing_post_start_hook_kills_the_container() {
    let cluster = Cluster::start().await;
    let lifecycle = json!({"postStart": exec(&["exit", "3"])});
    let container = json!({"name": "a", "image": "app", "lifecycle": lifecycle});
    cluster.create("p", json!({"terminationGracePeriodSeconds": 1, "containers": [container]})).await;
    cluster.container("a", 1).await;
    assert!(cluster.container("a", 0).await.has_ended());
    cluster.event("p", "FailedPostStartHook", "PostStartHook failed").await;
    cluster.event("p", "Killing", "FailedPostStartHook").await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_post_start_hook_is_told_by_its_kind() {
    let cluster = Cluster::start().await;
    for (name, hook, words) in [
        ("exec", exec(&["exit", "3"]), "Exec lifecycle hook ([exit 3]) for Container \"a\" in Pod \"exec_default("),
        ("exec", exec(&["exit", "3"]), "failed - error: command 'exit 3' exited with 3, message: \"exit 3\\n\""),
        (
            "http",
            json!({"httpGet": {"port": 81, "path": "/on"}}),
            "HTTP lifecycle hook (/on) for Container \"a\" in Pod \"http_default(",
        ),
        ("tcp", json!({"tcpSocket": {"port": 80}}), "Cannot run handler: invalid handler: "),
    ] {
        let container = json!({"name": "a", "image": "app", "lifecycle": {"postStart": hook}});
        cluster.create(name, json!({"terminationGracePeriodSeconds": 0, "containers": [container]})).await;
        let told = |pod: &Value| {
            let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
            waiting["reason"] == "PostStartHookError"
                && waiting["message"].as_str().is_some_and(|message| message.contains(words))
        };
        let pod = cluster.pod_when(name, told).await;
        assert_eq!(pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 137);
        cluster.event(name, "FailedPostStartHook", "PostStartHook failed").await;
        cluster.delete(name, DeleteParams::default().grace_period(0)).await;
        cluster.gone(name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_by_https_falls_back_to_http() {
    let cluster = Cluster::start().await;
    for (n, tls) in [true, false].into_iter().enumerate() {
        let get = json!({"port": 8443, "scheme": "HTTPS", "path": "/bye"});
        let container = json!({"name": "a", "image": "app", "lifecycle": {"preStop": {"httpGet": get}}});
        cluster.create("p", json!({"terminationGracePeriodSeconds": 60, "containers": [container]})).await;
        let container = cluster.container("a", n).await;
        let server = servers::http(&container, 8443, tls);
        // Any answer will do.
        server.says.lock().0 = 500;
        cluster.running("p").await;
        cluster.delete("p", DeleteParams::default().grace_period(20)).await;
        until(|| (server.count() == 1).then_some(())).await;
        let (path, headers) = server.asked().remove(0);
        assert_eq!((path.as_str(), headers["user-agent"].to_str().unwrap()), ("/bye", "kube-lifecycle/1.37"));
        container.exit(0);
        cluster.gone("p").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let events = cluster.events("p").await;
        assert!(!told(&events, "FailedPreStopHook", ""), "{events:?}");
        let fell_back = told(&events, "LifecycleHTTPFallback", "request to HTTPS lifecycle hook 10.244.");
        assert_eq!(fell_back, !tls, "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_running_once_its_post_start_hooks_are_over() {
    let cluster = Cluster::start().await;
    let lifecycle = json!({"postStart": {"sleep": {"seconds": 20}}});
    cluster.create("p", json!({"containers": [{"name": "a", "image": "app", "lifecycle": lifecycle}]})).await;
    cluster.container("a", 0).await;
    let at = tokio::time::Instant::now();
    let waits =
        |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating";
    cluster.pod_when("p", waits).await;
    cluster.running("p").await;
    assert!(at.elapsed() >= Duration::from_secs(19));
}

#[tokio::test(start_paused = true)]
async fn a_pre_stop_hook_has_its_time_within_the_grace() {
    for (name, hook, grace, expected) in [
        ("slept", json!({"sleep": {"seconds": 20}}), 60, 20..30),
        ("cut", exec(&["wait"]), 8, 6..13),
        ("failed", exec(&["exit", "1"]), 60, 0..5),
    ] {
        // The API server's clock does not jump as the node's does, and says when a Pod must have ended.
        let cluster = Cluster::start().await;
        cluster.runtime.serve("web");
        let container = json!({"name": "web", "image": "app", "lifecycle": {"preStop": hook}});
        cluster.create(name, json!({"terminationGracePeriodSeconds": 60, "containers": [container]})).await;
        cluster.running(name).await;
        let at = tokio::time::Instant::now();
        cluster.delete(name, DeleteParams::default().grace_period(grace)).await;
        cluster.gone(name).await;
        assert!(expected.contains(&at.elapsed().as_secs()), "{name}: {:?}", at.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let failed = told(&cluster.events(name).await, "FailedPreStopHook", "PreStopHook failed");
        assert_eq!(failed, name == "failed", "to be late is no failure");
    }
}

#[tokio::test(start_paused = true)]
async fn liveness_probes_of_each_kind_restart_a_container() {
    let cluster = Cluster::start().await;
    cluster.runtime.serve("a");
    for (name, probe, words) in [
        ("exec", exec(&["exit", "1"]), "Liveness probe failed: exit 1"),
        ("late", exec(&["wait"]), "Liveness probe failed: command timed out: \"wait\" timed out after 1s"),
        ("tcp", json!({"tcpSocket": {"port": 81}}), "Liveness probe failed: dial tcp 10.244."),
        ("http", json!({"httpGet": {"port": "other"}}), "Liveness probe failed: Get \"http://10.244."),
        ("grpc", json!({"grpc": {"port": 80}}), "Liveness probe failed: error: health rpc probe failed: "),
    ] {
        let mut probe = probe;
        probe["periodSeconds"] = json!(1);
        let ports = json!([{"containerPort": 80}, {"name": "other", "containerPort": 8081, "protocol": "UDP"}]);
        let container = json!({"name": "a", "image": "app", "ports": ports, "livenessProbe": probe});
        cluster.create(name, json!({"containers": [container]})).await;
        cluster.pod_when(name, |pod| pod["status"]["containerStatuses"][0]["restartCount"] == 1).await;
        cluster.event(name, "Unhealthy", words).await;
        cluster.event(name, "Killing", "Container a failed liveness probe, will be restarted").await;
        cluster.delete(name, DeleteParams::default().grace_period(0)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_open_is_enough_for_a_tcp_probe() {
    let cluster = Cluster::start().await;
    cluster.runtime.serve("a");
    let probe = json!({"tcpSocket": {"port": "web"}});
    let ports = json!([{"name": "web", "containerPort": 80}]);
    let container = json!({"name": "a", "image": "app", "ports": ports, "readinessProbe": probe});
    cluster.create("p", json!({"containers": [container]})).await;
    cluster.pod_when("p", |pod| pod["status"]["containerStatuses"][0]["ready"] == true).await;
}

#[tokio::test(start_paused = true)]
async fn readiness_and_liveness_wait_for_startup() {
    let cluster = Cluster::start().await;
    let startup = json!({"exec": {"command": ["exit", "0"]}, "initialDelaySeconds": 60});
    let container = |name: &str, kind: &str, mut probe: Value| {
        probe["periodSeconds"] = json!(300);
        probe["failureThreshold"] = json!(1);
        json!({"name": name, "image": "app", "startupProbe": startup, kind: probe})
    };
    let at = tokio::time::Instant::now();
    let ready = container("r", "readinessProbe", exec(&["exit", "0"]));
    cluster.create("ready", json!({"containers": [ready]})).await;
    let unhealthy = container("l", "livenessProbe", exec(&["exit", "1"]));
    cluster.create("unhealthy", json!({"terminationGracePeriodSeconds": 0, "containers": [unhealthy]})).await;
    let pod = cluster.pod_when("ready", |pod| pod["status"]["containerStatuses"][0]["ready"] == true).await;
    assert_eq!(pod["status"]["containerStatuses"][0]["started"], true);
    cluster.container("l", 1).await;
    assert!((58..70).contains(&at.elapsed().as_secs()), "at once after startup: {:?}", at.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_pod_past_its_active_deadline_fails() {
    let cluster = Cluster::start().await;
    let spec = json!({
        "activeDeadlineSeconds": 100, "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "a", "image": "app"}],
    });
    cluster.create("p", spec).await;
    let at = tokio::time::Instant::now();
    let pod = cluster.pod_when("p", |pod| pod["status"]["phase"] == "Failed").await;
    assert!((98..110).contains(&at.elapsed().as_secs()), "{:?}", at.elapsed());
    assert_eq!(pod["status"]["reason"], "DeadlineExceeded");
    cluster.event("p", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline").await;
    tokio::time::sleep(Duration::from_secs(1000)).await;
    assert_eq!(cluster.runtime.started("a").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_ephemeral_container_is_added_runs_once_and_is_not_waited_for() {
    let cluster = Cluster::start().await;
    cluster.create("p", json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "app"}]})).await;
    cluster.running("p").await;
    for (n, name) in ["z", "b"].into_iter().enumerate() {
        let patch = json!({"spec": {"ephemeralContainers": [
            {"name": name, "image": "app", "command": ["exit"], "targetContainerName": "a"}
        ]}});
        let (pods, params) = (cluster.pods(), PatchParams::default());
        pods.patch_subresource("ephemeralcontainers", "p", &params, &Patch::Strategic(patch)).await.unwrap();
        let debugger = cluster.container(name, 0).await;
        let running = |pod: &Value| !pod["status"]["ephemeralContainerStatuses"][n]["state"]["running"].is_null();
        cluster.pod_when("p", running).await;
        if n == 0 {
            debugger.exit(7);
            let ended =
                |pod: &Value| pod["status"]["ephemeralContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 7;
            assert_eq!(cluster.pod_when("p", ended).await["status"]["phase"], "Running");
        }
    }
    cluster.container("a", 0).await.exit(0);
    cluster.pod_when("p", |pod| pod["status"]["phase"] == "Succeeded").await;
    assert_eq!((cluster.runtime.started("z").len(), cluster.runtime.started("b").len()), (1, 1));
    assert!(cluster.container("b", 0).await.has_ended());
}

#[tokio::test(start_paused = true)]
async fn a_container_finds_the_services_in_its_environment() {
    let cluster = Cluster::start().await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "my-db"},
        "spec": {"ports": [{"port": 5432}]},
    });
    let services: kube::Api<k8s_openapi::api::core::v1::Service> =
        kube::Api::default_namespaced(cluster.client.clone());
    let made = services.create(&Default::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    let ip = made.spec.unwrap().cluster_ip.unwrap();
    // What has just been made is not known everywhere yet.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (name, wanted) in [("with", true), ("without", false)] {
        let container = json!({"name": name, "image": "app"});
        cluster.create(name, json!({"enableServiceLinks": wanted, "containers": [container]})).await;
        let started = cluster.container(name, 0).await;
        let value = |name: &str| started.env.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
        assert_eq!(value("MY_DB_SERVICE_HOST"), wanted.then(|| ip.clone()));
        assert_eq!(value("MY_DB_PORT"), wanted.then(|| format!("tcp://{ip}:5432")));
        assert_eq!(value("HOSTNAME").as_deref(), Some(name));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_of_the_node_a_pod_goes_through_its_start_again() {
    let mut cluster = Cluster::start().await;
    let spec = json!({
        "initContainers": [{"name": "init", "image": "app"}, {"name": "side", "image": "app", "restartPolicy": "Always"}],
        "containers": [{"name": "a", "image": "app"}],
    });
    cluster.create("p", spec).await;
    cluster.container("init", 0).await.exit(0);
    cluster.running("p").await;
    cluster.stop_node().await;
    cluster.start_node();
    cluster.container("init", 1).await.exit(0);
    let back = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"] == 1;
    let pod = cluster.pod_when("p", back).await;
    assert_eq!(pod["status"]["initContainerStatuses"][1]["restartCount"], 1);
    until(|| (cluster.runtime.started("side").len() == 2).then_some(())).await;
}
