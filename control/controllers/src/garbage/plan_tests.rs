use std::sync::Arc;

use kube::core::ApiResource;
use serde_json::json;

use super::*;
use crate::discovery::Kind;

fn kind(kind: &str) -> Arc<Kind> {
    let resource = ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
    };
    Arc::new(Kind { resource, is_namespaced: true, can_watch: true })
}

/// A graph from lines such as `pod-1 owners=set-1!,set-2 deleting finalizers=orphan`; `!` blocks the owner.
fn graph(lines: &[&str]) -> Graph {
    let mut graph = Graph::default();
    for line in lines {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap();
        let mut meta = json!({ "namespace": "ns", "name": name, "uid": name });
        for word in words {
            match word.split_once('=') {
                Some(("owners", owners)) => {
                    let owners = owners.split(',').map(|owner| {
                        let name = owner.trim_end_matches('!');
                        json!({ "apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "blockOwnerDeletion": owner.ends_with('!') })
                    });
                    meta["ownerReferences"] = owners.collect();
                }
                Some(("finalizers", finalizer)) => meta["finalizers"] = json!([finalizer]),
                Some(("namespace", namespace)) => meta["namespace"] = json!(namespace),
                _ => meta["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
            }
        }
        graph.upsert(Node::of(&kind("Pod"), &serde_json::from_value(meta).unwrap()));
    }
    graph
}

fn judged(lines: &[&str], asked: &[(&str, Asked)]) -> String {
    let asked = asked.iter().map(|(uid, asked)| ((*uid).to_owned(), *asked)).collect();
    let uids = |owners: Vec<OwnerReference>| owners.into_iter().map(|owner| owner.uid).collect::<Vec<_>>().join(",");
    match plan(&graph(lines), "x", &asked) {
        Verdict::Ask(owners) => format!("ask {}", uids(owners)),
        Verdict::KeepOwners(owners) => format!("keep owners {}", uids(owners)),
        Verdict::Delete(policy) => format!("delete {policy:?}"),
        Verdict::Orphan(dependents) => format!("orphan {}", dependents.join(",")),
        Verdict::Await(dependents) => format!("await {}", dependents.join(",")),
        Verdict::Release(finalizer) => format!("release {finalizer}"),
        Verdict::Keep => "keep".into(),
    }
}

#[test]
fn the_fate_of_an_object() {
    use Asked::{Absent, Present, Waiting};
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, Asked)], &'a str);
    let cases: [Case; 19] = [
        (&[], &[], "keep"),
        (&["x"], &[], "keep"),
        (&["x owners=a", "a"], &[], "keep"),
        (&["x owners=a"], &[], "ask a"),
        (&["x owners=a"], &[("a", Present)], "keep"),
        (&["x owners=a"], &[("a", Absent)], "delete Background"),
        (&["x owners=a namespace=other", "a"], &[], "ask a"),
        (&["x owners=a,b", "b"], &[("a", Absent)], "keep owners b"),
        (&["x owners=a,b"], &[("a", Absent), ("b", Absent)], "delete Background"),
        (&["x owners=a deleting"], &[("a", Absent)], "keep"),
        (&["x owners=a finalizers=orphan"], &[("a", Absent)], "delete Orphan"),
        (&["x owners=a finalizers=foregroundDeletion"], &[("a", Absent)], "delete Foreground"),
        (&["x owners=a", "a deleting finalizers=foregroundDeletion"], &[], "delete Background"),
        (&["x owners=a", "a deleting finalizers=foregroundDeletion", "y owners=x"], &[], "delete Foreground"),
        (&["x owners=a", "y owners=x"], &[("a", Waiting)], "delete Foreground"),
        (&["x owners=a,b", "a deleting finalizers=foregroundDeletion", "b"], &[], "keep owners b"),
        (&["x deleting finalizers=orphan", "y owners=x", "z owners=x"], &[], "orphan y,z"),
        (&["x deleting finalizers=foregroundDeletion", "y owners=x!", "z owners=x"], &[], "await y"),
        (&["x deleting finalizers=foregroundDeletion", "z owners=x"], &[], "release foregroundDeletion"),
    ];
    for (lines, asked, expected) in cases {
        assert_eq!(judged(lines, asked), expected, "{lines:?} {asked:?}");
    }
    assert_eq!(judged(&["x deleting finalizers=orphan"], &[]), "release orphan");
}

#[test]
fn changes_wake_those_whom_they_concern() {
    let node = |graph: &Graph, uid: &str| graph.node(uid).unwrap().clone();
    let mut graph = graph(&["a", "x owners=a!", "y owners=x"]);
    assert_eq!(graph.upsert(node(&graph, "x")), Vec::<String>::new(), "nothing changed");

    let mut owner = node(&graph, "a");
    (owner.is_deleting, owner.finalizers) = (true, vec![FOREGROUND.into()]);
    assert_eq!(graph.upsert(owner), ["a", "x"], "the owner begins to wait for its dependents");
    assert_eq!(graph.remove("x"), ["y", "a"], "dependents lose an owner, the owner has one dependent less");
    assert_eq!(graph.remove("x"), Vec::<String>::new());
}
