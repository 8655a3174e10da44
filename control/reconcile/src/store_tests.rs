use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::*;

fn object(name: &str, uid: &str, revision: u64) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            namespace: Some("ns".into()),
            name: Some(name.into()),
            uid: Some(uid.into()),
            resource_version: Some(revision.to_string()),
            ..Default::default()
        },
        ..Default::default()
    }
}

fn owned(name: &str, uid: &str, revision: u64, owner: &str) -> ConfigMap {
    let mut object = object(name, uid, revision);
    object.metadata.owner_references =
        Some(vec![OwnerReference { uid: owner.into(), controller: Some(true), ..Default::default() }]);
    object
}

fn revisions(store: &Store<ConfigMap>) -> Vec<(String, u64)> {
    store.all().map(|o| (o.metadata.name.clone().unwrap(), revision_of(&o.metadata))).collect()
}

#[test]
fn own_writes_are_read_at_once_and_not_undone_by_older_events() {
    let mut store = Store::new();
    store.replace(vec![object("a", "1", 5)], 5);
    assert!(store.observe(object("a", "1", 9)).is_some());
    assert!(store.apply(object("a", "1", 7)).is_none(), "an older event must not undo our write");
    assert!(store.apply(object("a", "1", 9)).is_some());
    assert_eq!(revisions(&store), [("a".into(), 9)]);
}

#[test]
fn a_late_answer_does_not_bring_back_the_dead() {
    let mut store = Store::new();
    store.replace(vec![], 5);
    store.apply(object("a", "1", 6));
    store.delete(&object("a", "1", 7));
    assert!(store.observe(object("a", "1", 6)).is_none(), "the watch has already told the deletion");
    assert!(revisions(&store).is_empty());
}

#[test]
fn a_list_older_than_our_write_keeps_it() {
    let mut store = Store::new();
    store.observe(object("a", "1", 9));
    store.replace(vec![], 8);
    assert_eq!(revisions(&store), [("a".into(), 9)]);
    store.replace(vec![], 10);
    assert!(revisions(&store).is_empty());
}

#[test]
fn an_acknowledged_deletion_holds_until_the_watch_tells_it() {
    let mut store = Store::new();
    store.replace(vec![object("a", "1", 5)], 5);
    assert!(store.forget(&ObjectKey::new("ns", "a"), "1").is_some());
    assert!(store.apply(object("a", "1", 6)).is_none());
    store.replace(vec![object("a", "1", 6)], 6);
    assert!(revisions(&store).is_empty(), "a list from before the deletion");
    store.delete(&object("a", "1", 8));
    assert!(store.apply(object("a", "2", 9)).is_some(), "another object of the same name is not the dead one");
}

#[test]
fn the_owner_index_follows_adoption_and_release() {
    let mut store = Store::new();
    store.replace(vec![object("a", "1", 1), owned("b", "2", 2, "rs")], 2);
    assert_eq!(store.owned_by("rs").len(), 1);
    assert_eq!(store.without_controller("ns").len(), 1);
    store.apply(owned("a", "1", 3, "rs"));
    store.apply(object("b", "2", 4));
    assert_eq!(store.owned_by("rs")[0].metadata.name.as_deref(), Some("a"));
    assert_eq!(store.without_controller("ns")[0].metadata.name.as_deref(), Some("b"));
    assert!(store.without_controller("other").is_empty());
}

#[test]
fn a_relist_tells_what_vanished_and_what_changed_only() {
    let mut store = Store::new();
    store.replace(vec![object("a", "1", 1), object("b", "2", 2), object("c", "3", 3)], 3);
    let changes = store.replace(vec![object("a", "1", 1), object("b", "2", 5)], 6);
    let told: Vec<_> = changes.iter().map(|c| (c.old.is_some(), c.new.is_some())).collect();
    assert_eq!(told, [(true, false), (true, true)]);
}
