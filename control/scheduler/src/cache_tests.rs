use k8s_openapi::api::core::v1::{Container, NodeStatus, PodSpec, PodStatus, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;

fn node(name: &str) -> Arc<Node> {
    let allocatable = [("cpu", "1"), ("memory", "1Gi"), ("pods", "10")];
    let allocatable = allocatable.map(|(name, amount)| (name.to_owned(), Quantity(amount.into())));
    Arc::new(Node {
        metadata: ObjectMeta { name: Some(name.into()), ..Default::default() },
        status: Some(NodeStatus { allocatable: Some(allocatable.into()), ..Default::default() }),
        ..Default::default()
    })
}

fn pod(uid: &str, node: Option<&str>, phase: &str) -> Pod {
    let requests = [("cpu".to_owned(), Quantity("400m".into()))];
    Pod {
        metadata: ObjectMeta { name: Some("p".into()), uid: Some(uid.into()), ..Default::default() },
        spec: Some(PodSpec {
            node_name: node.map(str::to_owned),
            containers: vec![Container {
                resources: Some(ResourceRequirements { requests: Some(requests.into()), ..Default::default() }),
                ..Default::default()
            }],
            ..Default::default()
        }),
        status: Some(PodStatus { phase: Some(phase.into()), ..Default::default() }),
    }
}

fn taken(cache: &Cache) -> Vec<(&str, i64, i64)> {
    cache.nodes().iter().map(|node| (node.name.as_str(), node.requested.cpu, node.pods)).collect()
}

fn key() -> ObjectKey {
    ObjectKey::new("", "p")
}

#[test]
fn an_assumed_pod_counts_until_it_is_bound_elsewhere_over_or_gone() {
    let mut cache = Cache::default();
    assert!(cache.set_node("a", Some(&node("a"))));
    assert!(cache.set_node("b", Some(&node("b"))));
    cache.assume(Demand::of(&pod("1", None, "Pending")), "a");
    assert!(!cache.set_pod(&key(), Some(&pod("1", None, "Pending"))), "the API server has not heard of it yet");
    assert_eq!(taken(&cache), [("a", 400, 1), ("b", 0, 0)]);
    assert!(cache.set_pod(&key(), Some(&pod("1", Some("b"), "Running"))), "somebody else bound it elsewhere");
    assert_eq!(taken(&cache), [("a", 0, 0), ("b", 400, 1)]);
    assert!(cache.set_pod(&key(), Some(&pod("1", Some("b"), "Succeeded"))));
    assert_eq!(taken(&cache), [("a", 0, 0), ("b", 0, 0)]);
    assert!(!cache.set_pod(&key(), None));
}

#[test]
fn a_failed_binding_is_withdrawn_and_a_confirmed_one_is_not() {
    let mut cache = Cache::default();
    cache.set_node("a", Some(&node("a")));
    cache.assume(Demand::of(&pod("1", None, "Pending")), "a");
    cache.withdraw(&key(), "another");
    assert_eq!(taken(&cache), [("a", 400, 1)]);
    cache.withdraw(&key(), "1");
    assert_eq!(taken(&cache), [("a", 0, 0)]);
    cache.set_pod(&key(), Some(&pod("1", Some("a"), "Running")));
    cache.withdraw(&key(), "1");
    assert_eq!(taken(&cache), [("a", 400, 1)]);
}

#[test]
fn pods_are_counted_on_a_node_that_comes_later_or_comes_back() {
    let mut cache = Cache::default();
    cache.set_pod(&key(), Some(&pod("1", Some("a"), "Running")));
    assert!(taken(&cache).is_empty());
    cache.set_node("a", Some(&node("a")));
    assert_eq!(taken(&cache), [("a", 400, 1)]);
    cache.set_node("a", None);
    assert!(taken(&cache).is_empty());
    cache.set_node("a", Some(&node("a")));
    assert_eq!(taken(&cache), [("a", 400, 1)]);
    assert!(!cache.set_node("a", Some(&node("a"))), "nothing changed: nobody needs to be woken");
}

#[test]
fn a_pod_of_the_same_name_is_another_pod() {
    let mut cache = Cache::default();
    cache.set_node("a", Some(&node("a")));
    cache.assume(Demand::of(&pod("1", None, "Pending")), "a");
    assert!(cache.set_pod(&key(), Some(&pod("2", None, "Pending"))), "the first one is gone");
    assert_eq!(taken(&cache), [("a", 0, 0)]);
}
