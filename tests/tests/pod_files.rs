//! The files of Pods, through kubectl: volumes, image files, and what is refused.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use carob_tests::{Cluster, Http, Kubectl, eventually, eventually_some, samples};

const CACHED_PAGE: &str = include_str!("../../samples/manifests/cached-page.yaml");
const PROBER: &str = include_str!("../../samples/manifests/file-prober.yaml");
const PROBER_P3: &str = include_str!("../../samples/manifests/file-prober-p3.yaml");

/// The cluster of this file, with the samples that it needs.
fn cluster() -> &'static Cluster {
    static LOADED: OnceLock<()> = OnceLock::new();
    let cluster = Cluster::shared();
    LOADED.get_or_init(|| {
        for name in ["file-prober", "file-prober-p3", "cached-page", "page-cache", "echo-client"] {
            cluster.load(&samples().join(format!("{name}.wasm")), &format!("samples/{name}:1"));
        }
    });
    cluster
}

/// A Pod `p` with containers of the prober: each a name, its arguments and its mounts.
fn prober(containers: &[(&str, &str, &str)], volumes: &str) -> String {
    let containers: String = containers
        .iter()
        .map(|(name, args, mounts)| {
            format!("    - {{name: {name}, image: 'samples/file-prober:1', args: {args}, volumeMounts: {mounts}}}\n")
        })
        .collect();
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, labels: {{tier: back}}}}\nspec:\n  restartPolicy: Never\n  \
         containers:\n{containers}  volumes: {volumes}\n"
    )
}

fn phase(kubectl: &Kubectl, pod: &str, phase: &str) {
    kubectl.run(&[
        "wait",
        &format!("pod/{pod}"),
        &format!("--for=jsonpath={{.status.phase}}={phase}"),
        "--timeout=120s",
    ]);
}

fn log_has(kubectl: &Kubectl, container: &str, words: &str) {
    eventually(&format!("{words:?} in the log of {container}"), || {
        kubectl.attempt(&["logs", "p", "--container", container]).stdout.contains(words)
    });
}

fn told(kubectl: &Kubectl, reason: &str, words: &str) {
    eventually(&format!("an Event {reason}: {words}"), || {
        let events = kubectl.run(&[
            "get",
            "events",
            "--output",
            "jsonpath={range .items[*]}{.reason}: {.message}{\"\\n\"}{end}",
        ]);
        events.lines().any(|event| event.starts_with(reason) && event.contains(words))
    });
}

/// The Pod's folder on the node.
fn folder(kubectl: &Kubectl) -> Option<PathBuf> {
    let uid = kubectl.field(&["pod", "p"], "{.metadata.uid}");
    find(&cluster().data_dir(), &uid)
}

fn find(dir: &Path, uid: &str) -> Option<PathBuf> {
    fs::read_dir(dir).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if entry.file_name().to_string_lossy().ends_with(uid) { Some(path) } else { find(&path, uid) }
    })
}

#[test]
fn a_web_component_and_its_sidecar_share_a_folder_and_the_loopback() {
    let cluster = cluster();
    let kubectl = cluster.namespace("shared-sandbox");
    kubectl.apply(CACHED_PAGE);
    kubectl.run(&["rollout", "status", "deployment/cached-page", "--timeout=120s"]);
    let (http, url) = (Http::default(), format!("http://{}:30086", cluster.node_port_address()));
    let cached = || http.get(&format!("{url}/cached")).ok().and_then(|(_, text)| Cached::parse(&text));
    let first = eventually_some("a page of the sidecar, and what it counted", cached);
    eventually("a look-up that hits, and a newer page", || {
        cached().is_some_and(|next| next.hits > first.hits && next.page > first.page && next.misses > first.misses)
    });
    eventually("the ConfigMap's page", || {
        http.get(&format!("{url}/")).is_ok_and(|(_, text)| text == "<h1>Cached page</h1>\n")
    });
    no_other_pod_reaches_the_loopback(&kubectl);
    assert!(cached().is_some(), "the sidecar listens all the while");
}

/// What the web component answers: the page from the folder, the counters from the loopback.
struct Cached {
    page: u64,
    hits: u64,
    misses: u64,
}

impl Cached {
    fn parse(text: &str) -> Option<Self> {
        let (page, counted) = text.strip_prefix("page ")?.split_once("\nhits ")?;
        let (hits, misses) = counted.trim_end().split_once(" misses ")?;
        Some(Self { page: page.parse().ok()?, hits: hits.parse().ok()?, misses: misses.parse().ok()? })
    }
}

/// Neither at the Pod's own address nor on the other Pod's loopback.
fn no_other_pod_reaches_the_loopback(kubectl: &Kubectl) {
    let ip = kubectl.field(&["pods", "-l", "app=cached-page"], "{.items[0].status.podIP}");
    let args = format!("[tcp, '{ip}:7070', tcp, '127.0.0.1:7070']");
    kubectl.apply(&prober(&[("ask", &args, "[]")], "[]").replace("samples/file-prober:1", "samples/echo-client:1"));
    phase(kubectl, "p", "Failed");
    let log = kubectl.run(&["logs", "p"]);
    assert_eq!(log.matches("refused").count(), 2, "{log}");
}

#[test]
fn no_way_leads_out() {
    let kubectl = cluster().namespace("prober");
    kubectl.apply(PROBER);
    eventually("the prober has ended", || {
        let phase = kubectl.field(&["pod", "file-prober"], "{.status.phase}");
        phase == "Succeeded" || phase == "Failed"
    });
    let log = kubectl.run(&["logs", "file-prober"]);
    assert!(log.contains(" attempts, 0 succeeded") && !log.contains("SUCCEEDED"), "{log}");
    assert_eq!(kubectl.field(&["pod", "file-prober"], "{.status.phase}"), "Succeeded");
}

#[test]
fn a_changed_config_map_is_seen_by_the_guest_that_runs_and_not_through_a_sub_path() {
    let kubectl = cluster().namespace("live");
    let volumes = "[{name: cfg, configMap: {name: cfg}}]";
    let containers = [
        ("whole", "[watch, /etc/app/color]", "[{name: cfg, mountPath: /etc/app}]"),
        ("part", "[watch, /color]", "[{name: cfg, mountPath: /color, subPath: color}]"),
    ];
    kubectl.apply(&prober(&containers, volumes));
    told(&kubectl, "FailedMount", "MountVolume.SetUp failed for volume \"cfg\" : configmap \"cfg\" not found");
    let waiting = kubectl.field(&["pod", "p"], "{.status.containerStatuses[0].state.waiting.reason}");
    assert_eq!(waiting, "ContainerCreating");

    kubectl.run(&["create", "configmap", "cfg", "--from-literal=color=red"]);
    log_has(&kubectl, "whole", "/etc/app/color: red");
    log_has(&kubectl, "part", "/color: red");
    kubectl.run(&["patch", "configmap", "cfg", "--patch", "{\"data\": {\"color\": \"blue\"}}"]);
    log_has(&kubectl, "whole", "/etc/app/color: blue");
    assert_eq!(kubectl.run(&["logs", "p", "--container", "part"]), "/color: red\n");
}

#[test]
fn secrets_have_their_modes_and_nothing_may_be_changed() {
    use std::os::unix::fs::PermissionsExt;
    let kubectl = cluster().namespace("secrets");
    kubectl.run(&["create", "secret", "generic", "s", "--from-literal=user=u", "--from-literal=password=secret"]);
    let volumes = "[{name: s, secret: {secretName: s, defaultMode: 0400, items: [{key: user, path: user}, \
                   {key: password, path: deep/password, mode: 0440}]}}]";
    let mounts = "[{name: s, mountPath: /s}]";
    let containers = [
        ("show", "[show, /s/user, /s/deep/password]", mounts),
        ("change", "[read-only, /s]", mounts),
        ("stay", "[watch, /s/user]", mounts),
    ];
    kubectl.apply(&prober(&containers, volumes));
    log_has(&kubectl, "show", "/s/user: u\n/s/deep/password: secret\n");
    log_has(&kubectl, "change", "11 attempts, 0 succeeded");
    let volume = folder(&kubectl).unwrap().join(".volumes/s");
    for (path, mode) in [("user", 0o400), ("deep/password", 0o440)] {
        assert_eq!(fs::metadata(volume.join(path)).unwrap().permissions().mode() & 0o777, mode, "{path}");
    }
    kubectl.run(&["delete", "pod", "p", "--now"]);
    eventually("nothing of the Pod is left", || {
        !volume.exists() && !volume.parent().unwrap().parent().unwrap().exists()
    });
}

#[test]
fn parts_of_volumes_and_the_pods_own_fields() {
    let kubectl = cluster().namespace("parts");
    let volumes = "[{name: data, emptyDir: {}}, {name: me, downwardAPI: {items: [\
                   {path: labels, fieldRef: {fieldPath: metadata.labels}}, \
                   {path: memory, resourceFieldRef: {containerName: write, resource: limits.cpu}}]}}]";
    let containers = [
        ("write", "[write, /part/file, hello]", "[{name: data, mountPath: /part, subPath: a/b}]"),
        ("read", "[watch, /all/a/b/file]", "[{name: data, mountPath: /all, readOnly: true}]"),
        ("me", "[watch, /me/labels]", "[{name: me, mountPath: /me}]"),
        ("root", "[list, /, /deep]", "[{name: data, mountPath: /deep/data}, {name: me, mountPath: /me}]"),
    ];
    kubectl.apply(&prober(&containers, volumes));
    log_has(&kubectl, "read", "/all/a/b/file: hello");
    log_has(&kubectl, "me", "/me/labels: tier=\"back\"");
    log_has(&kubectl, "root", "/: deep dev etc me var\n/deep: data\n");
    kubectl.run(&["label", "pod", "p", "tier=front", "--overwrite"]);
    log_has(&kubectl, "me", "/me/labels: tier=\"front\"");
}

#[test]
fn the_api_is_reached_with_the_pods_own_token() {
    let kubectl = cluster().namespace("token");
    let place = "/var/run/secrets/kubernetes.io/serviceaccount";
    let args = format!("[show, {place}/namespace, {place}/ca.crt, {place}/token]");
    kubectl.apply(&prober(&[("a", &args, "[]")], "[]"));
    phase(&kubectl, "p", "Succeeded");
    let log = kubectl.run(&["logs", "p"]);
    assert!(log.contains(&format!("{place}/namespace: token\n")), "{log}");
    assert!(log.contains("-----BEGIN CERTIFICATE-----"), "{log}");
    let token = log.lines().find_map(|line| line.strip_prefix(&format!("{place}/token: "))).unwrap();
    let review = format!("{{apiVersion: authentication.k8s.io/v1, kind: TokenReview, spec: {{token: {token}}}}}");
    // A review is not kept, so that the server does not check its fields for kubectl, which then asks for schemas.
    let output = "jsonpath={.status.user.username} {.status.user.extra}";
    let who = ["create", "--validate=false", "--filename", "-", "--output", output];
    let who = kubectl.run_with(&who, &review);
    assert!(who.starts_with("system:serviceaccount:token:default ") && who.contains("\"p\""), "{who}");
}

#[test]
fn an_image_carries_files() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    fs::copy(samples().join("cached-page.wasm"), dir.path().join("page.wasm")).unwrap();
    fs::create_dir_all(dir.path().join("site/deep")).unwrap();
    fs::write(dir.path().join("site/index.html"), "<h1>From the image</h1>").unwrap();
    fs::write(dir.path().join("site/deep/a.txt"), "a").unwrap();
    let archive = dir.path().join("image.tar");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-cf").arg(&archive).arg("-C").arg(dir.path()).args(["page.wasm", "site"]);
    assert!(tar.status().unwrap().success());
    cluster.load(&archive, "samples/site:1");

    let kubectl = cluster.namespace("image-files");
    kubectl.run(&["create", "deployment", "site", "--image=samples/site:1", "--port=8080", "--replicas=2"]);
    kubectl.run(&["rollout", "status", "deployment/site", "--timeout=120s"]);
    kubectl.run(&["expose", "deployment", "site", "--type=NodePort", "--port=80", "--target-port=8080"]);
    let port = kubectl.field(&["service", "site"], "{.spec.ports[0].nodePort}");
    let (http, url) = (Http::default(), format!("http://{}:{port}", cluster.node_port_address()));
    for (path, expected) in [("/", "<h1>From the image</h1>"), ("/deep/a.txt", "a")] {
        eventually(&format!("{path} from the image"), || {
            http.get(&format!("{url}{path}")).is_ok_and(|(_, text)| text == expected)
        });
    }
    assert_eq!(http.get(&format!("{url}/../page.wasm")).unwrap().0, http::StatusCode::NOT_FOUND);
}

#[test]
fn a_pod_that_stores_too_much_is_evicted_and_never_has_more_than_its_limit() {
    let kubectl = cluster().namespace("evicted");
    kubectl.apply(&prober(
        &[("fast", "[fill, /data]", "[{name: data, mountPath: /data}]")],
        "[{name: data, emptyDir: {sizeLimit: 1Mi}}]",
    ));
    phase(&kubectl, "p", "Failed");
    assert_eq!(kubectl.field(&["pod", "p"], "{.status.reason}"), "Evicted");
    let message = kubectl.field(&["pod", "p"], "{.status.message}");
    assert_eq!(message.trim_end(), "Usage of EmptyDir volume \"data\" exceeds the limit \"1Mi\".");
    let disrupted = "{.status.conditions[?(@.type==\"DisruptionTarget\")].reason}";
    assert_eq!(kubectl.field(&["pod", "p"], disrupted), "TerminationByKubelet");
    told(&kubectl, "Evicted", "Usage of EmptyDir volume \"data\" exceeds the limit \"1Mi\".");
    let log = kubectl.run(&["logs", "p"]);
    let written: u64 = log.split(' ').nth(1).unwrap().parse().unwrap();
    assert!((512..=1024).contains(&written), "{log}");

    kubectl.apply(PROBER_P3);
    phase(&kubectl, "file-prober-p3", "Failed");
    assert_eq!(kubectl.field(&["pod", "file-prober-p3"], "{.status.reason}"), "Evicted");
}

#[test]
fn all_that_a_pod_stores_is_held_to_its_limits() {
    let kubectl = cluster().namespace("storage-limits");
    let limited = |args: &str| {
        let pod = prober(&[("a", args, "[{name: data, mountPath: /data}]")], "[{name: data, emptyDir: {}}]");
        pod.replace("volumeMounts:", "resources: {limits: {ephemeral-storage: 1Mi}}, volumeMounts:")
    };
    kubectl.apply(&limited("[fill, /data]"));
    phase(&kubectl, "p", "Failed");
    let message = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi.";
    assert_eq!(kubectl.field(&["pod", "p"], "{.status.reason}"), "Evicted");
    assert_eq!(kubectl.field(&["pod", "p"], "{.status.message}").trim_end(), message);
    kubectl.run(&["delete", "pod", "p", "--now"]);

    let chatty = limited("[]").replace("samples/file-prober:1", "samples/counter:1");
    kubectl.apply(&chatty.replace("args: []", "args: ['--count', '10000000', '--period-ms', '0']"));
    phase(&kubectl, "p", "Failed");
    let message = "Container a exceeded its local ephemeral storage limit \"1Mi\".";
    assert_eq!(kubectl.field(&["pod", "p"], "{.status.message}").trim_end(), message);
}

#[test]
fn a_host_path_is_what_its_type_says_and_may_be_a_file() {
    let kubectl = cluster().namespace("host");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "of the host").unwrap();
    let path = dir.path().display();
    let volumes = format!(
        "[{{name: file, hostPath: {{path: {path}/file, type: File}}}}, \
         {{name: made, hostPath: {{path: {path}/made, type: DirectoryOrCreate}}}}]"
    );
    let containers = [
        ("show", "[show, /etc/host-file]", "[{name: file, mountPath: /etc/host-file}]"),
        ("write", "[write, /made/by-guest, hello]", "[{name: made, mountPath: /made}]"),
    ];
    kubectl.apply(&prober(&containers, &volumes));
    phase(&kubectl, "p", "Succeeded");
    log_has(&kubectl, "show", "/etc/host-file: of the host");
    assert_eq!(fs::read_to_string(dir.path().join("made/by-guest")).unwrap(), "hello");
    kubectl.run(&["delete", "pod", "p"]);
    assert!(dir.path().join("made/by-guest").exists(), "a hostPath is not the Pod's");

    let wrong = format!("[{{name: v, hostPath: {{path: {path}/file, type: Directory}}}}]");
    kubectl.apply(&prober(&[("a", "[list, /v]", "[{name: v, mountPath: /v}]")], &wrong));
    told(&kubectl, "FailedMount", &format!("hostPath type check failed: {path}/file is not a directory"));
}

#[test]
fn a_claim_keeps_files_from_one_pod_to_the_next() {
    let kubectl = cluster().namespace("claims");
    let volumes = "[{name: data, persistentVolumeClaim: {claimName: data}}]";
    let mounts = "[{name: data, mountPath: /data}]";
    kubectl.apply(&prober(&[("write", "[write, /data/file, hello]", mounts)], volumes));
    kubectl.apply(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], \
         resources: {requests: {storage: 1Mi}}}\n",
    );
    phase(&kubectl, "p", "Succeeded");
    kubectl.run(&["delete", "pod", "p"]);
    kubectl.apply(&prober(&[("read", "[show, /data/file]", mounts)], volumes));
    phase(&kubectl, "p", "Succeeded");
    assert_eq!(kubectl.run(&["logs", "p"]), "/data/file: hello\n");
}

#[test]
fn files_outlive_a_kill_of_the_node_and_go_with_the_pod() {
    let mut cluster = Cluster::start();
    cluster.load(&samples().join("file-prober.wasm"), "samples/file-prober:1");
    let kubectl = cluster.kubectl();
    let pod =
        prober(&[("keep", "[watch, /data/kept]", "[{name: data, mountPath: /data}]")], "[{name: data, emptyDir: {}}]")
            .replace("restartPolicy: Never", "restartPolicy: Always");
    kubectl.apply(&pod);
    phase(&kubectl, "p", "Running");
    let uid = kubectl.field(&["pod", "p"], "{.metadata.uid}");
    let folder = find(&cluster.data_dir(), &uid).unwrap();
    fs::write(folder.join(".volumes/data/kept"), "kept").unwrap();
    log_has(&kubectl, "keep", "/data/kept: kept");

    cluster.kill_and_restart();
    let kubectl = cluster.kubectl();
    eventually("it runs again and has its file", || {
        let log = kubectl.attempt(&["logs", "p"]).stdout;
        log.starts_with("/data/kept: kept")
    });
    kubectl.run(&["delete", "pod", "p", "--now"]);
    eventually("nothing of the Pod is left", || find(&cluster.data_dir(), &uid).is_none());
}

#[test]
fn a_container_finds_its_pods_names_and_leaves_a_message() {
    let kubectl = cluster().namespace("given");
    let spec =
        "spec:\n  hostname: first\n  subdomain: web\n  hostAliases: [{ip: 192.0.2.7, hostnames: [db, db.example]}]\n";
    let mounts = "[{name: data, mountPath: /data}]";
    let containers = [
        ("names", "[show, /etc/hosts, /etc/hostname]", mounts),
        ("guard", "[read-only, /etc]", mounts),
        ("words", "[write, /dev/termination-log, all is well]", mounts),
        ("fails", "[show, /data/nothing]", mounts),
        ("own", "[write, /data/words, here]", mounts),
    ];
    let pod = prober(&containers, "[{name: data, emptyDir: {}}]").replace("spec:\n", spec);
    let pod = pod.replace("{name: own,", "{name: own, terminationMessagePath: /data/words,");
    kubectl.apply(&pod.replace("{name: fails,", "{name: fails, terminationMessagePolicy: FallbackToLogsOnError,"));
    phase(&kubectl, "p", "Failed");
    let names = kubectl.run(&["logs", "p", "--container", "names"]);
    let ip = kubectl.field(&["pod", "p"], "{.status.podIP}");
    for line in [
        "127.0.0.1\tlocalhost",
        &format!("{ip}\tfirst.web.given.svc.cluster.local\tfirst"),
        "192.0.2.7\tdb\tdb.example",
    ] {
        assert!(names.lines().any(|found| found == line), "{line:?} in {names}");
    }
    assert!(names.ends_with("/etc/hostname: first\n\n"), "{names}");
    let guarded = kubectl.run(&["logs", "p", "--container", "guard"]);
    assert!(guarded.contains("11 attempts, 0 succeeded"), "{guarded}");
    let message = |name: &str| {
        let path = format!("{{.status.containerStatuses[?(@.name==\"{name}\")].state.terminated.message}}");
        kubectl.field(&["pod", "p"], &path)
    };
    assert_eq!(
        (message("words"), message("own"), message("names")),
        ("all is well".into(), "here".into(), String::new())
    );
    assert!(message("fails").starts_with("show /data/nothing: "), "{}", message("fails"));
}
