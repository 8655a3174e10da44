//! Pods and Services through the API server: `kubectl get --raw .../proxy/`, `kubectl proxy`.

use carob_tests::{Cluster, Http, Kubectl, eventually, manifests};

/// A Deployment that answers, and its Service.
fn web(namespace: &str) -> Kubectl {
    let kubectl = Cluster::shared().namespace(namespace);
    kubectl.apply(&manifests::deployment("web", 2));
    kubectl.apply(&manifests::node_port("web"));
    kubectl.run(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    eventually("the Service has endpoints", || {
        !kubectl.field(&["endpoints", "web"], "{.subsets[0].addresses[1].ip}").is_empty()
    });
    kubectl
}

#[test]
fn kubectl_reads_through_pods_and_services() {
    let kubectl = web("proxy-raw");
    let pod = kubectl.field(&["pods", "-l", "app=web"], "{.items[0].metadata.name}");
    let root = "/api/v1/namespaces/proxy-raw";
    for path in [
        format!("{root}/services/web:80/proxy/"),
        format!("{root}/services/http:web:http/proxy/any/path?with=query"),
        format!("{root}/pods/{pod}/proxy/"),
        format!("{root}/pods/{pod}:8080/proxy"),
    ] {
        assert_eq!(kubectl.run(&["get", "--raw", &path]), "Hello, world!\n", "{path}");
    }
    // What kubectl sends goes on too.
    assert_eq!(
        kubectl.run_with(&["create", "--raw", &format!("{root}/pods/{pod}/proxy/"), "-f", "-"], "x"),
        "Hello, world!\n"
    );
    for (path, words) in [
        (format!("{root}/pods/{pod}:9/proxy/"), "error trying to reach service: dial tcp"),
        (format!("{root}/services/web:81/proxy/"), "no service port 81 found for service \"web\""),
        (format!("{root}/services/nobody:80/proxy/"), "\"nobody\" not found"),
    ] {
        let outcome = kubectl.attempt(&["get", "--raw", &path]);
        assert!(outcome.code != 0 && outcome.stderr.contains(words), "{path}: {outcome:?}");
    }
}

#[test]
fn kubectl_proxy_makes_them_urls_of_this_machine() {
    let kubectl = web("proxy-port");
    let mut proxy = kubectl.follow(&["proxy", "--port", "0"]);
    let line = proxy.until("Starting to serve on ");
    let address = line.rsplit(' ').next().expect("the address is the last word").to_owned();
    let (http, service) = (Http::default(), "/api/v1/namespaces/proxy-port/services/web:80/proxy");
    let (status, body) = http.get(&format!("http://{address}{service}/")).expect("it answers");
    assert_eq!((status.as_u16(), body.as_str()), (200, "Hello, world!\n"));
    let (status, _) = http.get(&format!("http://{address}{service}")).expect("it answers");
    assert_eq!(status.as_u16(), 301, "links in a page lead on only behind a slash");
}
