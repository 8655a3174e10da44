use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

#[derive(Default)]
struct Objects {
    claims: HashMap<String, Arc<PersistentVolumeClaim>>,
    volumes: Vec<Arc<PersistentVolume>>,
    classes: HashMap<String, Arc<StorageClass>>,
    is_used: bool,
}

impl Shelf for Objects {
    fn claim(&self, key: &ObjectKey) -> Option<Arc<PersistentVolumeClaim>> {
        self.claims.get(&key.name).cloned()
    }

    fn volume(&self, name: &str) -> Option<Arc<PersistentVolume>> {
        self.volumes.iter().find(|volume| volume.metadata.name.as_deref() == Some(name)).cloned()
    }

    fn volumes(&self) -> Vec<Arc<PersistentVolume>> {
        self.volumes.clone()
    }

    fn class(&self, name: &str) -> Option<Arc<StorageClass>> {
        self.classes.get(name).cloned()
    }

    fn is_used(&self, _claim: &ObjectKey, _but: &Pod) -> bool {
        self.is_used
    }
}

fn object<K: DeserializeOwned>(value: Value) -> Arc<K> {
    Arc::new(serde_json::from_value(value).unwrap())
}

fn claim(change: impl FnOnce(&mut Value)) -> Arc<PersistentVolumeClaim> {
    let mut claim = json!({
        "metadata": { "namespace": "ns", "name": "c", "uid": "1", "annotations": {} }, "status": { "phase": "Pending" },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "later",
            "resources": { "requests": { "storage": "1Gi" } },
        },
    });
    change(&mut claim);
    object(claim)
}

fn bound(claim: &mut Value) {
    claim["spec"]["volumeName"] = json!("v");
    claim["metadata"]["annotations"] = json!({ "pv.kubernetes.io/bind-completed": "yes" });
}

/// A free volume on this node.
fn volume(name: &str, node: &str) -> Arc<PersistentVolume> {
    object(json!({
        "metadata": { "name": name, "uid": name }, "status": { "phase": "Available" },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "later", "capacity": { "storage": "1Gi" },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [
                { "matchExpressions": [{ "key": "kubernetes.io/hostname", "operator": "In", "values": [node] }] }
            ] } },
        },
    }))
}

fn class(provisioner: &str, extra: Value) -> Arc<StorageClass> {
    let mut class = json!({
        "metadata": { "name": "later" }, "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer",
    });
    class.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    object(class)
}

fn pod(claims: &[&str]) -> Pod {
    let volumes: Vec<Value> = claims
        .iter()
        .map(|name| json!({ "name": format!("of-{name}"), "persistentVolumeClaim": { "claimName": name } }))
        .collect();
    let pod = json!({
        "metadata": { "namespace": "ns", "name": "p", "uid": "p" }, "spec": { "containers": [], "volumes": volumes },
    });
    serde_json::from_value(pod).unwrap()
}

fn node(name: &str) -> NodeInfo {
    let mut node = NodeInfo::new(name);
    node.labels.insert("kubernetes.io/hostname".to_owned(), name.to_owned());
    node
}

fn objects(claim: Arc<PersistentVolumeClaim>, class: Arc<StorageClass>) -> Objects {
    Objects {
        claims: [("c".to_owned(), claim)].into(),
        classes: [("later".to_owned(), class)].into(),
        ..Objects::default()
    }
}

#[test]
fn why_a_pod_can_run_nowhere() {
    let later = || class("p.io/p", json!({}));
    let deleted = |claim: &mut Value| claim["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let lost = |claim: &mut Value| {
        bound(claim);
        claim["status"]["phase"] = json!("Lost");
    };
    let immediate = |claim: &mut Value| claim["spec"]["storageClassName"] = json!("");
    let exclusive = |claim: &mut Value| claim["spec"]["accessModes"] = json!(["ReadWriteOncePod"]);
    let used = Objects { is_used: true, ..objects(claim(exclusive), later()) };
    let cases = [
        (Objects::default(), "persistentvolumeclaim \"c\" not found"),
        (objects(claim(deleted), later()), "persistentvolumeclaim \"c\" is being deleted"),
        (objects(claim(lost), later()), "persistentvolumeclaim \"c\" bound to non-existent persistentvolume \"v\""),
        (objects(claim(bound), later()), "persistentvolumeclaim \"c\" bound to non-existent persistentvolume \"v\""),
        (objects(claim(immediate), later()), "pod has unbound immediate PersistentVolumeClaims"),
        (used, EXCLUSIVE),
    ];
    for (objects, expected) in cases {
        assert_eq!(Storage::of(&pod(&["c"]), &objects).err().as_deref(), Some(expected));
    }
}

#[test]
fn a_bound_volume_says_where() {
    let mut objects = objects(claim(bound), class("p.io/p", json!({})));
    objects.volumes.push(volume("v", "a"));
    let storage = Storage::of(&pod(&["c"]), &objects).unwrap();
    assert!(storage.is_settled());
    assert_eq!(storage.objection(&node("a")), None);
    assert_eq!(storage.objection(&node("b")), Some(ELSEWHERE));
}

#[test]
fn a_claim_that_waits_takes_what_is_near_or_has_it_made() {
    let made = |class, claim, node: &NodeInfo| Storage::of(&pod(&["c"]), &objects(claim, class)).unwrap().choose(node);
    let open = || claim(|_| {});
    assert_eq!(made(class("p.io/p", json!({})), open(), &node("a")), Some(vec![Choice::Make(open())]));
    assert_eq!(made(class(NO_PROVISIONER, json!({})), open(), &node("a")), None);
    let topology = json!([{ "matchLabelExpressions": [{ "key": "kubernetes.io/hostname", "values": ["b"] }] }]);
    assert_eq!(made(class("p.io/p", json!({ "allowedTopologies": topology })), open(), &node("a")), None);
    let selected =
        claim(|claim| claim["metadata"]["annotations"] = json!({ "volume.kubernetes.io/selected-node": "b" }));
    assert_eq!(made(class("p.io/p", json!({})), selected.clone(), &node("a")), None);
    assert!(is_said(&Choice::Make(selected), "b"));

    let mut objects = objects(open(), class(NO_PROVISIONER, json!({})));
    objects.volumes.push(volume("v", "a"));
    let storage = Storage::of(&pod(&["c"]), &objects).unwrap();
    assert_eq!(storage.choose(&node("a")), Some(vec![Choice::Take(open(), volume("v", "a"))]));
    assert_eq!(storage.objection(&node("b")), Some(NONE_LEFT));
}

#[test]
fn two_claims_do_not_take_one_volume() {
    let other = claim(|claim| {
        claim["metadata"]["name"] = json!("d");
        claim["metadata"]["uid"] = json!("2");
    });
    let mut objects = objects(claim(|_| {}), class(NO_PROVISIONER, json!({})));
    objects.claims.insert("d".to_owned(), other);
    objects.volumes.push(volume("v", "a"));
    assert!(Storage::of(&pod(&["c", "d"]), &objects).unwrap().choose(&node("a")).is_none());
    objects.volumes.push(volume("w", "a"));
    assert_eq!(Storage::of(&pod(&["c", "d"]), &objects).unwrap().choose(&node("a")).unwrap().len(), 2);
}
