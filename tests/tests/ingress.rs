//! Ingresses as their users see them: kubectl, and curl at the gateway.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use carob_tests::{Cluster, Kubectl, eventually, eventually_some, manifests};
use rcgen::generate_simple_self_signed;
use tempfile::TempDir;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What curl has to say.
#[derive(Debug)]
struct Answer {
    code: String,
    version: String,
    text: String,
}

/// Asks the gateway; `url` is of a host that only it knows.
fn curl(arguments: &[&str], url: &str) -> Result<Answer, String> {
    let gateway = Cluster::shared().node_port_address();
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code} %{http_version}"]);
    command.args(["--connect-to", &format!("::{gateway}:")]).args(arguments).arg(url);
    let output = command.output().expect("curl runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let (text, end) = said.rsplit_once('\n').unwrap();
    let (code, version) = end.split_once(' ').unwrap();
    Ok(Answer { code: code.into(), version: version.into(), text: text.into() })
}

/// Asks until the answer has this code: the gateway learns of changes a moment after they are made.
fn answers(arguments: &[&str], url: &str, code: &str) -> Answer {
    eventually_some(&format!("{code} from {url}"), || curl(arguments, url).ok().filter(|answer| answer.code == code))
}

/// A Deployment and its Service, whose Pods say the namespace's name in their greeting.
fn web(kubectl: &Kubectl, name: &str, replicas: u32) {
    kubectl.apply(&manifests::deployment(name, replicas));
    kubectl.run(&["expose", "deployment", name, "--port", "80", "--target-port", "http"]);
    kubectl.run(&["set", "env", "deployment", name, &format!("POD_NAME={name}")]);
    kubectl.run(&["rollout", "status", "deployment", name, "--timeout=120s"]);
}

fn greets(name: &str) -> String {
    format!("Hello, world! This is {name}.\n")
}

#[test]
fn requests_go_by_host_and_path_and_the_status_says_where() {
    let kubectl = Cluster::shared().namespace("ingress-routes");
    web(&kubectl, "front", 1);
    web(&kubectl, "api", 1);
    kubectl.run(&[
        "create",
        "ingress",
        "site",
        "--rule=routes.example/*=front:80",
        "--rule=routes.example/api*=api:80",
        "--rule=*.routes.example/*=api:80",
    ]);
    answers(&[], "http://routes.example:8080/", "200");
    for (url, expected) in [
        ("http://routes.example:8080/x", "front"),
        ("http://routes.example:8080/api/x", "api"),
        ("http://routes.example:8080/apix", "front"),
        ("http://any.routes.example:8080/", "api"),
    ] {
        assert_eq!(answers(&[], url, "200").text, greets(expected), "{url}");
    }
    let unknown = curl(&[], "http://a.b.routes.example:8080/").unwrap();
    assert_eq!(
        (unknown.code.as_str(), unknown.text.as_str()),
        ("404", "no Ingress has a rule for this host and path\n")
    );

    let gateway = Cluster::shared().node_port_address().to_string();
    let address = || kubectl.field(&["ingress", "site"], "{.status.loadBalancer.ingress[0].ip}");
    eventually("the status says where it is served", || address() == gateway);
    let ports = kubectl.field(&["ingress", "site"], "{.status.loadBalancer.ingress[0].ports[*].port}");
    assert_eq!(ports, "8080 8443");
    let row = kubectl.run(&["get", "ingress", "site", "--no-headers"]);
    let row: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((row[0], row[1], row[3], row[4]), ("site", "carob", gateway.as_str(), "80"), "{row:?}");
    let row = kubectl.run(&["get", "nodes", "--no-headers"]);
    assert!(row.contains(" ingress "), "the node has its role: {row}");

    kubectl.run(&["delete", "ingress", "site"]);
    answers(&[], "http://routes.example:8080/", "404");
}

#[test]
fn a_backend_without_endpoints_is_unavailable_until_there_are_some() {
    let kubectl = Cluster::shared().namespace("ingress-empty");
    web(&kubectl, "web", 1);
    kubectl.run(&["create", "ingress", "by-name", "--rule=empty.example/*=web:80"]);
    answers(&[], "http://empty.example:8080/", "200");
    kubectl.run(&["scale", "deployment", "web", "--replicas=0"]);
    let answer = answers(&[], "http://empty.example:8080/", "503");
    assert_eq!(answer.text, "Service ingress-empty/web has no ready endpoint\n");
    kubectl.run(&["scale", "deployment", "web", "--replicas=1"]);
    answers(&[], "http://empty.example:8080/", "200");
    kubectl.run(&["create", "ingress", "nobody", "--rule=nobody.example/*=nobody:80"]);
    let answer = answers(&[], "http://nobody.example:8080/", "503");
    assert_eq!(answer.text, "there is no Service ingress-empty/nobody\n");
}

/// A certificate in files, as `kubectl create secret tls` wants it.
struct Certificate {
    folder: TempDir,
}

impl Certificate {
    fn of(host: &str) -> Certificate {
        let folder = tempfile::tempdir().unwrap();
        let made = generate_simple_self_signed([host.to_owned()]).unwrap();
        std::fs::write(folder.path().join("tls.crt"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("tls.key"), made.signing_key.serialize_pem()).unwrap();
        Certificate { folder }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn put(&self, kubectl: &Kubectl, name: &str) {
        let (certificate, key) = (self.path("tls.crt"), self.path("tls.key"));
        let made = kubectl.run(&[
            "create",
            "secret",
            "tls",
            name,
            &format!("--cert={}", certificate.display()),
            &format!("--key={}", key.display()),
            "--dry-run=client",
            "--output=yaml",
        ]);
        kubectl.apply(&made);
    }

    /// Asks as a client that trusts this certificate alone.
    fn trusting(&self, more: &[&str], url: &str) -> Result<Answer, String> {
        let path = self.path("tls.crt");
        curl(&[&["--cacert", path.to_str().unwrap()], more].concat(), url)
    }
}

#[test]
fn tls_shows_the_secrets_certificate_by_sni_and_takes_a_new_one_at_once() {
    let kubectl = Cluster::shared().namespace("ingress-tls");
    web(&kubectl, "web", 1);
    let (first, second, other) =
        (Certificate::of("tls.example"), Certificate::of("tls.example"), Certificate::of("other-tls.example"));
    first.put(&kubectl, "site");
    other.put(&kubectl, "other");
    kubectl.run(&["create", "ingress", "site", "--rule=tls.example/*=web:80,tls=site"]);
    kubectl.run(&["create", "ingress", "other", "--rule=other-tls.example/*=web:80,tls=other"]);
    let (url, other_url) = ("https://tls.example:8443/", "https://other-tls.example:8443/");
    for (version, told) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let answer = eventually_some("the certificate of the Secret", || first.trusting(&[version], url).ok());
        assert_eq!((answer.code.as_str(), answer.version.as_str(), answer.text), ("200", told, greets("web")));
    }
    eventually("the other host has its own", || other.trusting(&[], other_url).is_ok());
    assert!(first.trusting(&[], other_url).is_err(), "and no other");
    second.put(&kubectl, "site");
    eventually("the new certificate is shown", || second.trusting(&[], url).is_ok());
    assert!(first.trusting(&[], url).is_err(), "the old one is shown no more");
    kubectl.run(&["delete", "secret", "site"]);
    eventually("none is left", || second.trusting(&[], url).is_err());
    let verbose = ["--insecure", "--verbose"];
    let answer = curl(&verbose, url).unwrap();
    assert_eq!(answer.code, "200", "the default certificate is signed by itself");
}

#[test]
fn what_is_too_large_is_refused() {
    let kubectl = Cluster::shared().namespace("ingress-limits");
    web(&kubectl, "web", 1);
    kubectl.run(&["create", "ingress", "site", "--rule=limits.example/*=web:80"]);
    let url = "http://limits.example:8080/";
    answers(&[], url, "200");
    let body = ["--data", "x", "--header", "Content-Length: 68719476736"];
    assert_eq!(curl(&body, url).unwrap().code, "413");
    let header = format!("X-Long: {}", "x".repeat(70_000));
    assert_eq!(curl(&["--header", &header], url).unwrap().code, "431");
}

#[test]
fn each_request_is_in_the_access_log_and_in_the_figures() {
    let cluster = Cluster::shared();
    let kubectl = cluster.namespace("ingress-seen");
    web(&kubectl, "web", 1);
    kubectl.run(&["create", "ingress", "site", "--rule=seen.example/*=web:80"]);
    answers(&[], "http://seen.example:8080/", "200");
    curl(&["--user-agent", "a \"test\""], "http://seen.example:8080/looked-for?a=b").unwrap();
    let line = || cluster.access_log().lines().find(|line| line.contains("/looked-for")).map(str::to_owned);
    let line = eventually_some("the request is logged", line);
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    for part in [
        "\"GET /looked-for?a=b HTTP/1.1\" 200 ",
        "\"a \\x22test\\x22\" \"seen.example:8080\" \"ingress-seen/site\" \"ingress-seen/web:80\"",
    ] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    let node = kubectl.field(&["nodes"], "{.items[0].metadata.name}");
    let figures = || kubectl.run(&["get", "--raw", &format!("/api/v1/nodes/{node}/proxy/metrics/ingress")]);
    let of = "namespace=\"ingress-seen\",ingress=\"site\",host=\"seen.example\",path=\"/\"";
    for line in [
        format!("carob_ingress_requests_total{{{of},code=\"200\"}} "),
        format!("carob_ingress_request_duration_seconds_count{{{of}}} "),
    ] {
        eventually(&format!("{line} is told"), || figures().contains(&line));
    }
}

#[test]
fn an_upgrade_goes_through_to_a_pod_that_listens_at_a_socket() {
    let kubectl = Cluster::shared().namespace("ingress-upgrade");
    kubectl.run(&["run", "talker", "--image=samples/counter:1", "--port=7000", "--expose"]);
    kubectl.run(&["wait", "--for=condition=Ready", "pod/talker", "--timeout=120s"]);
    kubectl.run(&["create", "ingress", "site", "--rule=upgrade.example/*=talker:7000"]);
    let mut talker = kubectl.command(&["exec", "--stdin", "talker", "--", "nc", "-l", "7000"]).spawn().unwrap();
    let mut said = BufReader::new(talker.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut says = talker.stdin.take().unwrap();

    let mut client = eventually_some("the Pod is asked", || ask_for_upgrade(Cluster::shared().node_port_address()));
    let head: Vec<String> = said.by_ref().take_while(|line| !line.is_empty()).collect();
    let head = head.join("\n").to_lowercase();
    for part in [
        "get /talk http/1.1",
        "host: upgrade.example",
        "upgrade: talk",
        "connection: upgrade",
        "x-forwarded-for: 127.0.0.1",
    ] {
        assert!(head.contains(part), "no {part} in\n{head}");
    }
    says.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: talk\r\n\r\nfrom the Pod\n")
        .unwrap();
    let mut heard = BufReader::new(client.try_clone().unwrap()).lines().map(Result::unwrap);
    assert_eq!(heard.next().unwrap(), "HTTP/1.1 101 Switching Protocols");
    assert_eq!(heard.find(|line| !line.contains(": ") && !line.is_empty()).unwrap(), "from the Pod");
    client.write_all(b"from outside\n").unwrap();
    assert_eq!(said.next().unwrap(), "from outside");
    drop(client);
    drop(heard);
    let _ = talker.kill();
    let _ = talker.wait();
}

/// Sends the request; `None` if it was answered at once, which the Pod does not do.
fn ask_for_upgrade(gateway: Ipv4Addr) -> Option<TcpStream> {
    let mut client = TcpStream::connect((gateway, 8080)).unwrap();
    client
        .write_all(b"GET /talk HTTP/1.1\r\nHost: upgrade.example\r\nConnection: Upgrade\r\nUpgrade: talk\r\n\r\n")
        .unwrap();
    client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let at_once = client.read(&mut [0; 1]);
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    at_once.is_err().then_some(client)
}
