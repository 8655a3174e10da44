//! Ingresses and their classes as kubectl writes and shows them.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use carob_tests::Cluster;

fn words(table: &str, line: usize) -> Vec<&str> {
    table.lines().nth(line).unwrap().split_whitespace().collect()
}

#[test]
fn an_ingress_is_created_shown_and_described() {
    let kubectl = Cluster::shared().namespace("ingress-objects");
    kubectl.run(&[
        "create",
        "ingress",
        "web",
        "--rule=foo.example/api*=api:http",
        "--rule=foo.example/exact=api:8080,tls=foo-cert",
        "--default-backend=fallback:80",
        "--annotation=example.com/note=1",
    ]);
    let written = kubectl.json(&["ingress", "web"]);
    assert_eq!(written["spec"]["ingressClassName"], "carob", "the default class");
    let paths = &written["spec"]["rules"][0]["http"]["paths"];
    assert_eq!((&paths[0]["pathType"], &paths[1]["pathType"]), (&"Prefix".into(), &"Exact".into()));
    let table = kubectl.run(&["get", "ing"]);
    assert_eq!(words(&table, 0), ["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"]);
    assert_eq!(words(&table, 1)[..3], ["web", "carob", "foo.example"]);
    assert!(words(&table, 1).windows(2).any(|ports| ports == ["80,", "443"]), "{table}");
    let described = kubectl.run(&["describe", "ingress", "web"]);
    for part in ["Ingress Class:    carob", "fallback:80", "foo-cert terminates", "/exact", "api:8080"] {
        assert!(described.contains(part), "no {part:?} in\n{described}");
    }
    assert!(kubectl.run(&["explain", "ingress.spec.rules.http.paths.pathType"]).contains("FIELD: pathType"));
}

#[test]
fn mistakes_are_refused_where_they_are() {
    let kubectl = Cluster::shared().namespace("ingress-mistakes");
    let refused = |spec: &str, told: &str| {
        let manifest =
            format!("{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: a}}, spec: {spec}}}");
        let outcome = kubectl.attempt_with(&["create", "--filename", "-"], &manifest);
        assert!(outcome.code != 0 && outcome.stderr.contains(told), "{outcome:?}");
    };
    refused("{}", "either `defaultBackend` or `rules` must be specified");
    let backend = "backend: {service: {name: web, port: {number: 80}}}";
    refused(
        &format!("{{rules: [{{http: {{paths: [{{path: a, pathType: Prefix, {backend}}}]}}}}]}}"),
        "spec.rules[0].http.paths[0].path: Invalid value: \"a\": must be an absolute path",
    );
    refused("{rules: [{host: 10.0.0.1}]}", "must be a DNS name, not an IP address");
}

#[test]
fn the_class_of_the_clusters_own_gateway_is_the_default() {
    let kubectl = Cluster::shared().kubectl();
    let table = kubectl.run(&["get", "ingressclasses"]);
    assert_eq!(words(&table, 0), ["NAME", "CONTROLLER", "PARAMETERS", "AGE"]);
    assert_eq!(words(&table, 1)[..3], ["carob", "carob.dev/ingress", "<none>"]);
    let described = kubectl.run(&["describe", "ingressclass", "carob"]);
    assert!(described.contains("ingressclass.kubernetes.io/is-default-class: true"), "{described}");
}
