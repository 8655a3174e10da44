//! Capabilities beyond sockets and files, and components that call each other within a Pod.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::thread;

use carob_tests::{Cluster, Http, Kubectl, eventually, eventually_some, samples};

/// The manifest of a sample, with a node port of the cluster's choice: a test file may run it more than once.
fn manifest(sample: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/manifests");
    let text = std::fs::read_to_string(format!("{path}/{sample}.yaml")).unwrap();
    text.lines().filter(|line| !line.contains("nodePort:")).map(|line| format!("{line}\n")).collect()
}

fn load(cluster: &Cluster, names: &[&str]) {
    for name in names {
        cluster.load(&samples().join(format!("{name}.wasm")), &format!("samples/{name}:1"));
    }
}

/// Where the node port of the Service answers.
fn url(cluster: &Cluster, kubectl: &Kubectl, service: &str) -> String {
    let port = kubectl.field(&["service", service], "{.spec.ports[0].nodePort}");
    format!("http://{}:{port}", cluster.node_port_address())
}

fn text(http: &Http, url: &str) -> Option<String> {
    http.get(url).ok().filter(|(status, _)| status.is_success()).map(|(_, text)| text)
}

/// The number that the sample `visits` answers with.
fn visits(answer: &str) -> u64 {
    answer.trim().rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("no number in {answer:?}"))
}

#[test]
fn replicas_count_in_one_bucket_and_kill_9_loses_nothing() {
    let mut cluster = Cluster::start();
    load(&cluster, &["visits"]);
    let kubectl = cluster.namespace("visits");
    kubectl.apply(&manifest("visits"));
    kubectl.run(&["rollout", "status", "deployment/visits", "--timeout=120s"]);
    let (http, address) = (Http::default(), url(&cluster, &kubectl, "visits"));
    let greeting = eventually_some("it answers", || text(&http, &format!("{address}/peek")));
    assert_eq!(greeting, "Welcome! Visits so far: 0\n", "as the ConfigMap says");

    let (clients, each) = (8, 25);
    let mut answers: Vec<u64> = thread::scope(|scope| {
        let client = || {
            let http = Http::default();
            let ask = |_| visits(&text(&http, &address).expect("every visitor is counted"));
            (0..each).map(ask).collect::<Vec<u64>>()
        };
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    answers.sort_unstable();
    assert_eq!(answers, (1..=clients * each).collect::<Vec<u64>>(), "each number was given once");

    let logs = kubectl.run(&["logs", "--selector", "app=visits", "--tail", "-1"]);
    let counted = logs.lines().filter(|line| line.starts_with("INFO visits: visitor ")).count() as u64;
    assert_eq!(counted, clients * each, "one line a record");
    assert!(logs.contains("\\nwas counted"), "line breaks are escaped: {logs}");
    let pods = kubectl.run(&["get", "pods", "--selector", "app=visits", "--output", "name"]);
    assert_eq!(pods.lines().count(), 3);

    cluster.kill_and_restart();
    let address = url(&cluster, &kubectl, "visits");
    let after = eventually_some("it answers again", || text(&http, &format!("{address}/peek")));
    assert_eq!(visits(&after), clients * each, "what was acknowledged is there");
}

#[test]
fn buckets_belong_to_their_namespace_and_go_with_it() {
    let cluster = Cluster::shared();
    load(cluster, &["visits"]);
    let http = Http::default();
    let count = |kubectl: &Kubectl, path: &str| {
        kubectl.apply(&manifest("visits"));
        kubectl.run(&["rollout", "status", "deployment/visits", "--timeout=120s"]);
        let address = url(cluster, kubectl, "visits");
        visits(&eventually_some("it answers", || text(&http, &format!("{address}{path}"))))
    };
    let (one, other) = (cluster.namespace("bucket-one"), cluster.namespace("bucket-other"));
    assert_eq!(count(&one, "/"), 1);
    assert_eq!(count(&one, "/"), 2);
    assert_eq!(count(&other, "/peek"), 0);
    cluster.kubectl().run(&["delete", "namespace", "bucket-one", "--timeout=120s"]);
    let again = cluster.namespace("bucket-one");
    assert_eq!(count(&again, "/peek"), 0, "a namespace that is made again begins with nothing");
}

/// The message that a container waits with.
fn waiting(kubectl: &Kubectl, pod: &str, container: usize, reason: &str) -> String {
    let state = format!("{{.status.containerStatuses[{container}].state.waiting");
    eventually("it waits for that reason", || kubectl.field(&["pod", pod], &format!("{state}.reason}}")) == reason);
    kubectl.field(&["pod", pod], &format!("{state}.message}}"))
}

/// A Pod of these samples, each in a container `NAME=SAMPLE`.
fn pod(name: &str, annotations: &str, containers: &[&str]) -> String {
    let container = |text: &&str| {
        let (name, sample) = text.split_once('=').unwrap();
        format!("    - {{name: {name}, image: 'samples/{sample}:1'}}\n")
    };
    let containers: String = containers.iter().map(container).collect();
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\nspec:\n  containers:\n\
         {containers}"
    )
}

#[test]
fn what_is_not_granted_is_named_with_what_to_declare() {
    let cluster = Cluster::shared();
    load(cluster, &["visits"]);
    let kubectl = cluster.namespace("grants");
    kubectl.apply(&pod("nothing", "", &["app=visits"]));
    let message = waiting(&kubectl, "nothing", 0, "CreateContainerError");
    assert!(message.contains("imports wasi:keyvalue/"), "{message}");
    assert!(message.contains("keyvalue.carob.dev/app: NAME"), "{message}");
    eventually("an Event names it", || {
        kubectl.run(&["get", "events", "--field-selector", "involvedObject.name=nothing"]).contains("wasi:keyvalue/")
    });

    kubectl.apply(&pod("wrong", "keyvalue.carob.dev/app: 'counts:maybe'", &["app=visits"]));
    let message = waiting(&kubectl, "wrong", 0, "CreateContainerConfigError");
    assert!(message.contains("annotation keyvalue.carob.dev/app: \"counts:maybe\" is not NAME"), "{message}");

    let annotations = "keyvalue.carob.dev/app: counts, config.carob.dev/app: configmap/absent";
    kubectl.apply(&pod("absent", annotations, &["app=visits"]));
    let message = waiting(&kubectl, "absent", 0, "CreateContainerConfigError");
    assert!(message.contains("configmap \"absent\" not found"), "{message}");
    let optional = annotations.replace("configmap/absent", "'configmap/absent?'");
    kubectl.apply(&pod("optional", &optional, &["app=visits"]));
    kubectl.run(&["wait", "pod/optional", "--for=condition=Ready", "--timeout=90s"]);
}

#[test]
fn a_pair_is_linked_by_an_interface() {
    let cluster = Cluster::shared();
    load(cluster, &["shop", "prices"]);
    let kubectl = cluster.namespace("pair");
    kubectl.apply(&manifest("shop"));
    kubectl.run(&["wait", "pod/shop", "--for=condition=Ready", "--timeout=90s"]);
    let (http, address) = (Http::default(), url(cluster, &kubectl, "shop"));
    let ask = |path: &str| http.get(&format!("{address}{path}")).map(|(status, text)| (status.as_u16(), text));
    eventually("it answers", || ask("/given").is_ok_and(|(status, _)| status == 200));
    assert_eq!(ask("/quote/apple"), Ok((200, "apple: 30\n".into())), "CURRENCY is set for the other container only");
    assert_eq!(ask("/basket/apple,pear"), Ok((200, "0.75 EUR\n".into())));
    assert_eq!(ask("/given"), Ok((200, "3\n".into())));
    let logs = kubectl.run(&["logs", "shop", "--container", "prices"]);
    assert_eq!(logs, "a basket was taken\na basket was put back\n", "each has its own log");

    // A trap is the container's whose component trapped.
    let failed = ask("/quote/trap").unwrap();
    assert!(failed.0 >= 500, "{failed:?}");
    ended(&kubectl, "1", "Error", "134");
    let restarts = "{.status.containerStatuses[?(@.name==\"shop\")].restartCount}";
    assert_eq!(kubectl.field(&["pod", "shop"], restarts), "0");
    let logs = kubectl.run(&["logs", "shop", "--container", "shop"]);
    assert!(logs.contains("container \"prices\" ended during a call of it"), "{logs}");
    eventually("the next run answers", || ask("/given") == Ok((200, "0\n".into())));

    // So is a limit.
    let failed = ask("/quote/memory").unwrap();
    assert!(failed.0 >= 500, "{failed:?}");
    ended(&kubectl, "2", "OOMKilled", "137");
    assert_eq!(kubectl.field(&["pod", "shop"], restarts), "0");
}

/// Waits until the container `prices` of the Pod `shop` was restarted, and checks how its last run ended.
fn ended(kubectl: &Kubectl, restarts: &str, reason: &str, code: &str) {
    let of = |path: &str| {
        kubectl.field(&["pod", "shop"], &format!("{{.status.containerStatuses[?(@.name==\"prices\")]{path}}}"))
    };
    eventually("it was restarted", || of(".restartCount") == restarts);
    let last = (of(".lastState.terminated.reason"), of(".lastState.terminated.exitCode"));
    assert_eq!(last, (reason.to_owned(), code.to_owned()));
}

#[test]
fn exporters_start_first_wherever_they_stand() {
    let cluster = Cluster::shared();
    load(cluster, &["shop", "prices"]);
    let kubectl = cluster.namespace("order");
    kubectl.apply(&pod("late", "", &["a-shop=shop", "prices=late-prices"]));
    let message = waiting(&kubectl, "late", 0, "CreateContainerError");
    assert!(message.contains("the image of \"prices\" is not here yet"), "{message}");
    cluster.load(&samples().join("prices.wasm"), "samples/late-prices:1");
    kubectl.run(&["wait", "pod/late", "--for=condition=Ready", "--timeout=90s"]);
    let started = |name: &str| {
        kubectl.field(
            &["pod", "late"],
            &format!("{{.status.containerStatuses[?(@.name==\"{name}\")].state.running.startedAt}}"),
        )
    };
    assert!(started("prices") <= started("a-shop"), "{} {}", started("prices"), started("a-shop"));
}

#[test]
fn what_cannot_be_linked_is_named() {
    let cluster = Cluster::shared();
    load(cluster, &["shop", "prices"]);
    let kubectl = cluster.namespace("links");
    kubectl.apply(&pod("alone", "", &["shop=shop"]));
    let message = waiting(&kubectl, "alone", 0, "CreateContainerError");
    let expected =
        "the component imports shop:prices/quotes@1.0.0, which no other container of the Pod exports; add a container";
    assert!(message.contains(expected), "{message}");

    kubectl.apply(&pod("both", "", &["shop=shop", "one=prices", "two=prices"]));
    let message = waiting(&kubectl, "both", 0, "CreateContainerError");
    assert!(message.contains("more than one container of the Pod exports: \"one\" and \"two\""), "{message}");

    cluster.load(&component("ping", &circle("t:t/ping", "t:t/pong")), "samples/ping:1");
    cluster.load(&component("pong", &circle("t:t/pong", "t:t/ping")), "samples/pong:1");
    kubectl.apply(&pod("circle", "", &["ping=ping", "pong=pong"]));
    for container in [0, 1] {
        let message = waiting(&kubectl, "circle", container, "CreateContainerError");
        assert!(message.contains("in a circle: ") && message.contains("\"ping\""), "{message}");
        assert!(message.contains("\"pong\""), "{message}");
    }
}

/// A component that imports one interface and exports another.
fn circle(imports: &str, exports: &str) -> String {
    format!(
        r#"(component
            (import "{imports}" (instance $i (export "f" (func))))
            (core func $f (canon lower (func $i "f")))
            (core module $m (import "i" "f" (func $f)) (func (export "f") (call $f)))
            (core instance $core (instantiate $m (with "i" (instance (export "f" (func $f))))))
            (func $g (canon lift (core func $core "f")))
            (instance $e (export "f" (func $g)))
            (export "{exports}" (instance $e)))"#
    )
}

/// A file with the component, among the system's temporary files.
fn component(name: &str, text: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("carob-test-{}-{name}.wasm", std::process::id()));
    std::fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
    path
}
