//! The files that containers are given, and what the node takes from them.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::cluster::Cluster;
use crate::runtime::{Exit, Stream};

/// Where the node keeps what the container `a` of a Pod is given.
fn folder(cluster: &Cluster, pod: &Value) -> PathBuf {
    let [name, uid] = ["name", "uid"].map(|field| pod["metadata"][field].as_str().unwrap());
    cluster.dir.path().join(format!("node/pods/default_{name}_{uid}/.given/a"))
}

fn ended(pod: &Value) -> bool {
    !pod["status"]["containerStatuses"][0]["state"]["terminated"].is_null()
}

fn message(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
}

#[tokio::test(start_paused = true)]
async fn a_container_finds_the_names_of_its_pod() {
    let cluster = Cluster::start().await;
    let aliases = json!([{"ip": "192.0.2.7", "hostnames": ["db"]}]);
    let container = json!({"name": "a", "image": "app"});
    cluster.create("p", json!({"hostAliases": aliases, "hostname": "first", "containers": [container]})).await;
    let pod = cluster.running("p").await;
    let folder = folder(&cluster, &pod);
    let hosts = fs::read_to_string(folder.join("hosts")).unwrap();
    let own = format!("{}\tfirst\n", pod["status"]["podIP"].as_str().unwrap());
    assert!(hosts.ends_with(&format!("{own}\n# Entries added by HostAliases.\n192.0.2.7\tdb\n")), "{hosts}");
    assert_eq!(fs::read_to_string(folder.join("hostname")).unwrap(), "first\n");
    let mounts = format!("{:?}", cluster.container("a", 0).await.mounts);
    for seen in
        ["hosts on /etc/hosts (ro)", "hostname on /etc/hostname (ro)", "termination-log on /dev/termination-log (rw)"]
    {
        assert!(mounts.contains(seen), "{seen}: {mounts}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_container_wrote_last_is_its_message() {
    let cluster = Cluster::start().await;
    let long = format!("{}{}", "x".repeat(100), "y".repeat(4096));
    let exit = |code, message: Option<&str>| Exit { code, oom_killed: false, message: message.map(str::to_owned) };
    for (n, (name, policy, written, exit, expected)) in [
        ("wrote", "File", "all is lost", exit(1, None), json!("all is lost")),
        ("well", "File", "done", exit(0, None), json!("done")),
        ("long", "File", long.as_str(), exit(1, None), json!("y".repeat(4096))),
        ("trap", "File", "so far", exit(134, Some("unreachable")), json!("unreachable: so far")),
        ("silent", "File", "", exit(1, None), Value::Null),
        ("log", "FallbackToLogsOnError", "", exit(1, None), json!("first\nlast words\n")),
        ("both", "FallbackToLogsOnError", "own", exit(1, None), json!("own")),
        ("no error", "FallbackToLogsOnError", "", exit(0, None), Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let pod = name.replace(' ', "-");
        let container = json!({"name": "a", "image": "app", "terminationMessagePolicy": policy});
        cluster.create(&pod, json!({"restartPolicy": "Never", "containers": [container]})).await;
        let started = cluster.container("a", n).await;
        let running = cluster.running(&pod).await;
        fs::write(folder(&cluster, &running).join("termination-log"), written).unwrap();
        started.output.write(Stream::Stdout, b"first\n");
        started.output.write(Stream::Stderr, b"last words");
        started.end(exit);
        assert_eq!(message(&cluster.pod_when(&pod, ended).await), &expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_messages_of_many_containers_are_cut_and_each_run_has_its_own() {
    let cluster = Cluster::start().await;
    let others = (0..5).map(|n| json!({"name": format!("b{n}"), "image": "app"}));
    let containers: Vec<Value> = [json!({"name": "a", "image": "app"})].into_iter().chain(others).collect();
    cluster.create("p", json!({"restartPolicy": "Always", "containers": containers})).await;
    let file = folder(&cluster, &cluster.running("p").await).join("termination-log");
    fs::write(&file, "é".repeat(2000)).unwrap();
    cluster.container("a", 0).await.exit(1);
    let again = cluster.container("a", 1).await;
    let restarted = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"] == 1;
    let pod = cluster.pod_when("p", restarted).await;
    let last = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["message"];
    assert_eq!(last, &json!("é".repeat(1024)), "12 KiB for six containers");
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
    again.exit(1);
    let silent = |pod: &Value| pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["message"].is_null();
    cluster.pod_when("p", silent).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_path_that_is_no_file_is_refused() {
    let cluster = Cluster::start().await;
    let container = json!({"name": "a", "image": "app", "terminationMessagePath": "/dev/../etc/hosts"});
    cluster.create("p", json!({"containers": [container]})).await;
    let waits = |pod: &Value| {
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        waiting["reason"] == "CreateContainerConfigError"
            && waiting["message"].as_str().is_some_and(|message| message.contains("\"/dev/../etc/hosts\""))
    };
    cluster.pod_when("p", waits).await;
}

#[tokio::test(start_paused = true)]
async fn a_status_tells_mounts_user_and_resources() {
    let cluster = Cluster::start().await;
    let mounts = json!([
        {"name": "v", "mountPath": "/rw"},
        {"name": "v", "mountPath": "/ro", "readOnly": true},
        {"name": "v", "mountPath": "/all", "readOnly": true, "recursiveReadOnly": "IfPossible"},
    ]);
    let resources = json!({"requests": {"cpu": "100m"}});
    let container = json!({"name": "a", "image": "app", "volumeMounts": mounts, "resources": resources});
    let spec = json!({
        "restartPolicy": "Never", "automountServiceAccountToken": false, "containers": [container],
        "volumes": [{"name": "v", "emptyDir": {}}],
    });
    cluster.create("p", spec).await;
    let check = |pod: &Value| {
        let status = &pod["status"]["containerStatuses"][0];
        assert_eq!(
            status["volumeMounts"],
            json!([
                {"name": "v", "mountPath": "/rw"},
                {"name": "v", "mountPath": "/ro", "readOnly": true, "recursiveReadOnly": "Disabled"},
                {"name": "v", "mountPath": "/all", "readOnly": true, "recursiveReadOnly": "Enabled"},
            ])
        );
        let user = &status["user"]["linux"];
        assert_eq!(user["uid"], rustix::process::geteuid().as_raw());
        assert!(user["gid"].is_number() && user["supplementalGroups"].is_array(), "{user}");
        assert_eq!((&status["allocatedResources"], &status["resources"]), (&json!({"cpu": "100m"}), &resources));
    };
    check(&cluster.running("p").await);
    cluster.container("a", 0).await.exit(0);
    check(&cluster.pod_when("p", ended).await);
}
