use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::*;
use crate::endpoints::backends::backends;

fn service() -> Service {
    serde_json::from_value(json!({
        "metadata": { "namespace": "ns", "name": "web", "uid": "s", "labels": { "a": "b" } },
        "spec": { "clusterIP": "10.96.0.9", "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": "http" }] },
    }))
    .unwrap()
}

fn pod(index: usize, port: i32, state: &str) -> Arc<Pod> {
    let mut pod = json!({
        "metadata": { "namespace": "ns", "name": format!("p{index}"), "uid": format!("p{index}"), "labels": { "app": "web" } },
        "spec": { "nodeName": "n", "containers": [{ "name": "c", "ports": [{ "name": "http", "containerPort": port }] }] },
        "status": { "phase": "Running", "podIP": format!("10.244.{}.{}", index / 200, index % 200 + 1), "conditions": [
            { "type": "Ready", "status": if state == "unready" { "False" } else { "True" } },
        ] },
    });
    if state == "ending" {
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

/// Plans and carries it out. Returns the slices, and how many writes that took.
fn settle(slices: Vec<Arc<EndpointSlice>>, pods: &[Arc<Pod>]) -> (Vec<Arc<EndpointSlice>>, usize) {
    let actions = plan(&service(), &backends(&service(), pods), &slices);
    let (mut slices, count) = (slices, actions.len());
    for action in actions {
        match action {
            Action::Create(mut slice) => {
                slice.metadata.uid = Some(format!("slice-{}", slices.len()));
                slices.push(Arc::from(slice));
            }
            Action::Update(slice) => slices
                .iter_mut()
                .filter(|old| old.metadata.uid == slice.metadata.uid)
                .for_each(|old| *old = Arc::new((*slice).clone())),
            Action::Delete(slice) => slices.retain(|old| old.metadata.uid != slice.metadata.uid),
        }
    }
    (slices, count)
}

fn sizes(slices: &[Arc<EndpointSlice>]) -> Vec<usize> {
    slices.iter().map(|slice| slice.endpoints.as_ref().unwrap().len()).collect()
}

#[test]
fn a_hundred_to_a_slice_and_one_change_is_one_write() {
    let mut pods: Vec<_> = (0..250).map(|index| pod(index, 8080, "ready")).collect();
    let (slices, _) = settle(Vec::new(), &pods);
    assert_eq!(sizes(&slices), [100, 100, 50]);
    assert_eq!(settle(slices.clone(), &pods).1, 0, "nothing changed");
    pods[120] = pod(120, 8080, "unready");
    let (slices, writes) = settle(slices, &pods);
    assert_eq!((sizes(&slices), writes), (vec![100, 100, 50], 1));
    let (slices, _) = settle(slices, &pods[..10]);
    assert_eq!(sizes(&slices), [10]);
    let (slices, _) = settle(slices, &[]);
    assert_eq!(sizes(&slices), [0], "an empty slice remains");
}

#[test]
fn conditions_and_named_ports() {
    let pods = [pod(1, 8080, "ready"), pod(2, 8080, "unready"), pod(3, 8080, "ending"), pod(4, 9090, "ready")];
    let (slices, _) = settle(Vec::new(), &pods);
    let ports: Vec<_> = slices.iter().map(|slice| slice.ports.as_ref().unwrap()[0].port).collect();
    assert_eq!((ports, sizes(&slices)), (vec![Some(8080), Some(9090)], vec![3, 1]));
    let conditions = slices[0].endpoints.iter().flatten().map(|endpoint| {
        let conditions = endpoint.conditions.clone().unwrap();
        (conditions.ready.unwrap(), conditions.serving.unwrap(), conditions.terminating.unwrap())
    });
    assert_eq!(conditions.collect::<Vec<_>>(), [(true, true, false), (false, false, false), (false, true, true)]);
    let labels = slices[0].labels();
    assert_eq!((labels[SERVICE_NAME].as_str(), labels["a"].as_str()), ("web", "b"));
}
