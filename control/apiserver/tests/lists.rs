//! Lists: selectors, parts, revisions.

mod support;

use carob_store::{Revision, Store};
use support::{MAPS, PODS, Server, labelled, map, pod};

#[tokio::test(start_paused = true)]
async fn selectors_choose() {
    let server = Server::start().await;
    for (name, app) in [("a", "web"), ("b", "db"), ("c", "web")] {
        server.post(MAPS, &labelled(name, app)).await.expect(201);
    }
    server.post(MAPS, &map("d")).await.expect(201);
    let cases = [
        ("", vec!["a", "b", "c", "d"]),
        ("?labelSelector=app%3Dweb", vec!["a", "c"]),
        ("?labelSelector=app%20in%20(db,other)", vec!["b"]),
        ("?labelSelector=!app", vec!["d"]),
        ("?fieldSelector=metadata.name%3Db", vec!["b"]),
        ("?fieldSelector=metadata.name!%3Db&labelSelector=app", vec!["a", "c"]),
        ("?fieldSelector=metadata.namespace%3Dother", vec![]),
    ];
    for (query, expected) in cases {
        assert_eq!(server.get(&format!("{MAPS}{query}")).await.expect(200).names(), expected, "{query}");
    }
    let unknown = server.get(&format!("{MAPS}?fieldSelector=spec.color%3Dred")).await.expect(400);
    assert_eq!(unknown.message(), "field label not supported: spec.color");
    let mut bound = pod("p");
    bound["spec"]["nodeName"] = "n1".into();
    server.post(PODS, &bound).await.expect(201);
    assert_eq!(server.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1").await.names(), ["p"]);
}

#[tokio::test(start_paused = true)]
async fn parts_are_of_one_revision() {
    let server = Server::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        server.post(MAPS, &map(name)).await.expect(201);
    }
    let first = server.get(&format!("{MAPS}?limit=2")).await.expect(200);
    assert_eq!(first.names(), ["a", "b"]);
    assert_eq!(first.body["metadata"]["remainingItemCount"], 3);
    server.delete(&format!("{MAPS}/c")).await.expect(200);
    server.post(MAPS, &map("bb")).await.expect(201);

    let token = first.body["metadata"]["continue"].as_str().unwrap();
    let second = server.get(&format!("{MAPS}?limit=2&continue={token}")).await.expect(200);
    assert_eq!(second.names(), ["c", "d"], "as it was when the list began");
    assert_eq!(second.version(), first.version());
    let token = second.body["metadata"]["continue"].as_str().unwrap();
    let third = server.get(&format!("{MAPS}?limit=2&continue={token}")).await.expect(200);
    assert_eq!(third.names(), ["e"]);
    assert!(third.body["metadata"].get("continue").is_none());
    let selected = server.get(&format!("{MAPS}?limit=1&labelSelector=!x")).await.expect(200);
    assert!(selected.body["metadata"].get("remainingItemCount").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_on_inconsistently_after_compaction() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        server.post(MAPS, &map(name)).await.expect(201);
    }
    let first = server.get(&format!("{MAPS}?limit=1")).await.expect(200);
    server.delete(&format!("{MAPS}/b")).await.expect(200);
    server.store.compact(server.store.revision()).await.unwrap();
    let token = first.body["metadata"]["continue"].as_str().unwrap();
    let expired = server.get(&format!("{MAPS}?limit=1&continue={token}")).await.expect(410);
    assert_eq!(expired.reason(), "Expired");
    let token = expired.body["metadata"]["continue"].as_str().unwrap();
    let rest = server.get(&format!("{MAPS}?limit=5&continue={token}")).await.expect(200);
    assert_eq!(rest.names(), ["c"]);
    let foreign = server.get(&format!("/api/v1/namespaces/kube-system/configmaps?continue={token}")).await;
    foreign.expect(400);
}

#[tokio::test(start_paused = true)]
async fn revisions_can_be_asked_for() {
    let server = Server::start().await;
    let a = server.post(MAPS, &map("a")).await.expect(201).version().to_owned();
    let b = server.post(MAPS, &map("b")).await.expect(201).version().to_owned();
    let cases = [
        (format!("resourceVersion={a}&resourceVersionMatch=Exact"), vec!["a"], &a),
        (format!("resourceVersion={a}&resourceVersionMatch=NotOlderThan"), vec!["a", "b"], &b),
        (format!("resourceVersion={a}"), vec!["a", "b"], &b),
        (format!("resourceVersion={a}&limit=5"), vec!["a"], &a),
        ("resourceVersion=0".to_owned(), vec!["a", "b"], &b),
    ];
    for (query, names, version) in cases {
        let list = server.get(&format!("{MAPS}?{query}")).await.expect(200);
        assert_eq!((list.names(), list.version()), (names, version.as_str()), "{query}");
    }
    let early = server.get(&format!("{MAPS}?resourceVersion=999999")).await.expect(504);
    assert_eq!(early.body["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    server.get(&format!("{MAPS}/a?resourceVersion=999999")).await.expect(504);
    server.store.compact(Revision(b.parse().unwrap())).await.unwrap();
    server.get(&format!("{MAPS}?resourceVersion={a}&resourceVersionMatch=Exact")).await.expect(410);
}

#[tokio::test(start_paused = true)]
async fn a_restart_finds_everything() {
    let server = Server::start().await;
    let made = server.post(MAPS, &map("a")).await.expect(201).body;
    let namespaces = server.get("/api/v1/namespaces").await.body;
    let api = carob_apiserver::ApiServer::new(server.store.clone(), Default::default()).await.unwrap();
    let again = Server { api, store: server.store.clone() };
    assert_eq!(again.get(&format!("{MAPS}/a")).await.expect(200).body, made);
    assert_eq!(again.get("/api/v1/namespaces").await.body["items"], namespaces["items"], "nothing is written twice");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_objects_are_one_list() {
    let server = Server::start().await;
    for n in 0..10_000 {
        server.post(MAPS, &map(&format!("m{n:05}"))).await.expect(201);
    }
    let list = server.get(MAPS).await.expect(200);
    assert_eq!(list.names().len(), 10_000);
    assert_eq!(list.names()[9_999], "m09999");
}
