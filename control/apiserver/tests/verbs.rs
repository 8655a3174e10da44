//! Create, get, update and patch.

mod support;

use http::{Method, header};
use serde_json::{Value, json};
use support::{JSON, MAPS, PODS, Server, map, pod};

#[tokio::test(start_paused = true)]
async fn create_fills_in_what_only_the_server_says() {
    let server = Server::start().await;
    let mut object = map("a");
    object["metadata"]["uid"] = json!("mine");
    object["metadata"]["managedFields"] = json!([{ "manager": "x" }]);
    let made = server.post(MAPS, &object).await.expect(201);
    let metadata = &made.body["metadata"];
    assert_eq!(metadata["namespace"], "default");
    assert_ne!(metadata["uid"], "mine");
    assert!(metadata["creationTimestamp"].is_string());
    assert!(metadata.get("managedFields").is_none());
    let read = server.get(&format!("{MAPS}/a")).await.expect(200);
    assert_eq!(read.body, made.body);
    assert!(read.headers.contains_key("audit-id"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_created_says_why() {
    let server = Server::start().await;
    server.post(MAPS, &map("there")).await.expect(201);
    let with = |pointer: &str, value: Value| {
        let mut object = map("x");
        *object.pointer_mut(pointer).unwrap() = value;
        object
    };
    let other_namespace = {
        let mut object = map("x");
        object["metadata"]["namespace"] = json!("other");
        object
    };
    let versioned = {
        let mut object = map("x");
        object["metadata"]["resourceVersion"] = json!("5");
        object
    };
    let cases = [
        (MAPS, map("there"), 409, "AlreadyExists", "configmaps \"there\" already exists"),
        (
            MAPS,
            with("/metadata/name", json!("Bad Name")),
            422,
            "Invalid",
            "ConfigMap \"Bad Name\" is invalid: metadata.name: ",
        ),
        (
            MAPS,
            with("/metadata/name", json!("")),
            422,
            "Invalid",
            "metadata.name: Required value: name or generateName is required",
        ),
        (
            MAPS,
            with("/kind", json!("Secret")),
            400,
            "BadRequest",
            "Secret in version \"v1\" cannot be handled as a ConfigMap",
        ),
        (MAPS, with("/apiVersion", json!("v2")), 400, "BadRequest", "does not match the expected API version (v1)"),
        (
            MAPS,
            with("/data", json!("text")),
            400,
            "BadRequest",
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap",
        ),
        (MAPS, other_namespace, 400, "BadRequest", "the namespace of the provided object does not match"),
        (MAPS, versioned, 400, "BadRequest", "resourceVersion should not be set on objects to be created"),
        ("/api/v1/namespaces/none/configmaps", map("x"), 404, "NotFound", "namespaces \"none\" not found"),
        ("/api/v1/configmaps", map("x"), 405, "MethodNotAllowed", "does not allow this method"),
        ("/api/v1/namespaces/default/carobs", map("x"), 404, "NotFound", "could not find the requested resource"),
    ];
    for (path, object, code, reason, message) in cases {
        let answer = server.post(path, &object).await.expect(code);
        assert_eq!(answer.reason(), reason, "{}", answer.text);
        assert!(answer.message().contains(message), "{:?} lacks {message:?}", answer.message());
        assert_eq!(answer.body["kind"], "Status");
        assert_eq!(answer.body["code"], code);
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_and_duplicate_fields() {
    let server = Server::start().await;
    let text =
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"1"},"data":{"k":"2"},"spec":{}}"#;
    let strict = server.send(Method::POST, &format!("{MAPS}?fieldValidation=Strict"), JSON, text).await.expect(400);
    assert!(strict.message().contains("strict decoding error: "), "{}", strict.message());
    assert!(strict.message().contains("unknown field \"spec\""), "{}", strict.message());
    assert!(strict.message().contains("duplicate field \"data\""), "{}", strict.message());
    let silent =
        server.send(Method::POST, &format!("{MAPS}?fieldValidation=Ignore&dryRun=All"), JSON, text).await.expect(201);
    assert!(silent.warnings().is_empty());
    let warned = server.send(Method::POST, MAPS, JSON, text).await.expect(201);
    assert!(warned.warnings().contains(&"299 - \"unknown field \\\"spec\\\"\""), "{:?}", warned.warnings());
    assert!(warned.body.get("spec").is_none());
    server.post(&format!("{MAPS}?fieldValidation=Maybe"), &map("x")).await.expect(422);
}

#[tokio::test(start_paused = true)]
async fn generated_names_and_dry_runs() {
    let server = Server::start().await;
    let mut object = map("x");
    object["metadata"] = json!({ "generateName": "job-" });
    for _ in 0..3 {
        let made = server.post(MAPS, &object).await.expect(201);
        let name = made.body["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with("job-") && name.len() == 9, "{name}");
    }
    let dry = server.post(&format!("{MAPS}?dryRun=All"), &map("dry")).await.expect(201);
    assert!(dry.body["metadata"]["uid"].is_string());
    server.get(&format!("{MAPS}/dry")).await.expect(404);
    server.post(&format!("{MAPS}?dryRun=Some"), &map("dry")).await.expect(422);
}

#[tokio::test(start_paused = true)]
async fn updates_are_optimistic() {
    let server = Server::start().await;
    let path = format!("{MAPS}/a");
    let first = server.post(MAPS, &map("a")).await.expect(201).body;
    let mut second = first.clone();
    second["data"]["k"] = json!("w");
    let second = server.put(&path, &second).await.expect(200).body;
    assert_ne!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);

    let stale = server.put(&path, &first).await.expect(409);
    assert_eq!(
        stale.message(),
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to \
         the latest version and try again"
    );
    let same = server.put(&path, &second).await.expect(200).body;
    assert_eq!(same, second, "an update that changes nothing writes nothing");

    let mut unconditional = map("a");
    unconditional["data"]["k"] = json!("z");
    let third = server.put(&path, &unconditional).await.expect(200).body;
    assert_eq!(third["metadata"]["uid"], first["metadata"]["uid"]);
    assert_eq!(third["metadata"]["creationTimestamp"], first["metadata"]["creationTimestamp"]);

    let mut impostor = unconditional.clone();
    impostor["metadata"]["uid"] = json!("other");
    assert!(
        server.put(&path, &impostor).await.expect(409).message().contains("Precondition failed: UID in precondition")
    );
    server.put(&path, &map("b")).await.expect(400);
    server.put(&format!("{MAPS}/none"), &map("none")).await.expect(404);
}

#[tokio::test(start_paused = true)]
async fn generation_counts_wishes_and_status_is_apart() {
    let server = Server::start().await;
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "replicas": 1, "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "main", "image": "hello" }] },
            },
        },
    });
    let all = "/apis/apps/v1/namespaces/default/deployments";
    let path = &format!("{all}/web");
    let made = server.post(all, &deployment).await.expect(201).body;
    assert_eq!(made["metadata"]["generation"], 1);

    let scaled = server.patch(path, "merge-patch", &json!({ "spec": { "replicas": 2 } })).await.expect(200).body;
    assert_eq!(scaled["metadata"]["generation"], 2);
    let labelled = json!({ "metadata": { "labels": { "a": "b" } }, "status": { "replicas": 9 } });
    let labelled = server.patch(path, "merge-patch", &labelled).await.expect(200).body;
    assert_eq!(labelled["metadata"]["generation"], 2);
    assert_ne!(labelled["status"]["replicas"], 9);

    let status = json!({ "spec": { "replicas": 7 }, "status": { "replicas": 2, "observedGeneration": 2 } });
    let told = server.patch(&format!("{path}/status"), "merge-patch", &status).await.expect(200).body;
    assert_eq!((&told["spec"]["replicas"], &told["status"]["replicas"]), (&json!(2), &json!(2)));

    let scale = server.get(&format!("{path}/scale")).await.expect(200).body;
    assert_eq!(scale["kind"], "Scale");
    assert_eq!(scale["spec"]["replicas"], 2);
    assert_eq!(scale["status"], json!({ "replicas": 2, "selector": "app=web" }));
    let more = json!({ "spec": { "replicas": 5 } });
    let more = server.patch(&format!("{path}/scale"), "merge-patch", &more).await.expect(200).body;
    assert_eq!(more["spec"]["replicas"], 5);
    server.put(&format!("{path}/scale"), &scale).await.expect(409);
    assert_eq!(server.get(path).await.body["spec"]["replicas"], 5);
}

#[tokio::test(start_paused = true)]
async fn the_three_patches() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.expect(201);
    let path = &format!("{PODS}/a");
    let add = json!([{ "op": "add", "path": "/metadata/labels", "value": { "a": "1" } }]);
    assert_eq!(server.patch(path, "json-patch", &add).await.expect(200).body["metadata"]["labels"]["a"], "1");
    let merge = json!({ "metadata": { "labels": { "b": "2", "a": null } } });
    assert_eq!(
        server.patch(path, "merge-patch", &merge).await.expect(200).body["metadata"]["labels"],
        json!({ "b": "2" })
    );
    let strategic = json!({ "spec": { "containers": [{ "name": "main", "image": "newer" }] } });
    let patched = server.patch(path, "strategic-merge-patch", &strategic).await.expect(200).body;
    assert_eq!(patched["spec"]["containers"][0]["image"], "newer");
    assert_eq!(patched["spec"]["containers"].as_array().unwrap().len(), 1);

    let unknown = json!({ "spec": { "nonsense": 1 } });
    let strict = server.patch(&format!("{path}?fieldValidation=Strict"), "merge-patch", &unknown).await.expect(422);
    assert!(
        strict.message().contains("strict decoding error: unknown field \"spec.nonsense\""),
        "{}",
        strict.message()
    );
    assert_eq!(server.patch(path, "merge-patch", &unknown).await.expect(200).warnings().len(), 1);
    let failing = json!([{ "op": "test", "path": "/metadata/name", "value": "b" }]);
    server.patch(path, "json-patch", &failing).await.expect(422);
    server.patch(path, "json-patch", &json!({})).await.expect(400);
    let stale = json!({ "metadata": { "resourceVersion": "1" } });
    server.patch(path, "merge-patch", &stale).await.expect(409);
    server.patch(&format!("{PODS}/none"), "merge-patch", &merge).await.expect(404);
    let apply =
        server.send(Method::PATCH, path, &[("content-type", "application/apply-patch+yaml")], "{}").await.expect(415);
    assert_eq!(apply.reason(), "UnsupportedMediaType");
    server.send(Method::PATCH, path, JSON, "{}").await.expect(415);
}

#[tokio::test(start_paused = true)]
async fn an_update_may_create_a_lease() {
    let server = Server::start().await;
    let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "n" } });
    let path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n";
    server.put(path, &lease).await.expect(201);
    server.put(path, &lease).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn concurrent_patches_all_happen() {
    let server = std::sync::Arc::new(Server::start().await);
    server.post(MAPS, &map("a")).await.expect(201);
    let patches = (0..4).map(|n| {
        let server = server.clone();
        tokio::spawn(async move {
            let patch = json!({ "data": { format!("key{n}"): "x" } });
            server.patch(&format!("{MAPS}/a"), "merge-patch", &patch).await.expect(200);
        })
    });
    for done in futures::future::join_all(patches).await {
        done.unwrap();
    }
    assert_eq!(server.get(&format!("{MAPS}/a")).await.body["data"].as_object().unwrap().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_arrives_is_given_up() {
    let server = Server::start().await;
    let endless = futures::stream::pending::<Result<bytes::Bytes, std::convert::Infallible>>();
    let answer = server.send(Method::POST, MAPS, JSON, axum::body::Body::from_stream(endless)).await;
    assert_eq!(answer.expect(504).reason(), "Timeout");
}

#[tokio::test(start_paused = true)]
async fn bad_requests_are_never_the_servers_fault() {
    let server = Server::start().await;
    server.post(MAPS, &map("a")).await.expect(201);
    let one = format!("{MAPS}/a");
    let big = format!("{{\"x\":\"{}\"}}", "y".repeat(4 << 20));
    let deep = "[".repeat(100_000);
    let bodies = [
        "",
        "{",
        "null",
        "[]",
        "1",
        "\"x\"",
        "{}",
        "{\"metadata\":[]}",
        "{\"metadata\":{\"name\":7}}",
        "\u{0}",
        &deep,
        &big,
    ];
    let patches =
        ["application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"];
    for body in bodies {
        for (method, path) in [(Method::POST, MAPS), (Method::PUT, &one), (Method::POST, PODS)] {
            let answer = server.send(method.clone(), path, JSON, body.to_owned()).await;
            assert!(answer.code.is_client_error(), "{method} {path} {:.40}: {} {}", body, answer.code, answer.text);
            assert_eq!(answer.body["kind"], "Status");
        }
        for kind in patches {
            let answer = server.send(Method::PATCH, &one, &[("content-type", kind)], body.to_owned()).await;
            assert!(answer.code.as_u16() < 500, "{kind} {:.40}: {} {}", body, answer.code, answer.text);
        }
    }
    assert_eq!(server.send(Method::POST, MAPS, JSON, big.clone()).await.code.as_u16(), 413);
    server.send(Method::POST, MAPS, &[("content-type", "text/plain")], "x").await.expect(415);
    let queries = [
        "labelSelector=%3D%3D",
        "fieldSelector=spec.x%3D1",
        "fieldSelector=a",
        "limit=x",
        "continue=zzz",
        "resourceVersion=-1",
        "watch=1&timeoutSeconds=x",
        "watch=1&resourceVersion=x",
    ];
    for query in queries {
        let answer = server.get(&format!("{MAPS}?{query}")).await;
        assert!(answer.code.is_client_error(), "{query}: {} {}", answer.code, answer.text);
    }
    let strange = [Method::OPTIONS, Method::TRACE, Method::CONNECT];
    for method in strange {
        server.send(method, MAPS, &[], "").await.expect(405);
    }
    let unspoken = server.send(Method::GET, MAPS, &[(header::ACCEPT.as_str(), "image/png")], "").await.expect(406);
    assert_eq!(unspoken.reason(), "NotAcceptable");
}
