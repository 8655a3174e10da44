//! Pure: one object, its owners and its dependents go in; what to do with it comes out. The rules are Kubernetes'.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::PropagationPolicy;

use crate::garbage::graph::{FOREGROUND, Graph, Node, ORPHAN};

/// What is known of an owner that the graph does not have, after asking the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is there, alive.
    Present,
    /// It is there, and goes after its dependents.
    Waiting,
    /// There is none with this uid.
    Absent,
}

/// What to do with one object.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing.
    Keep,
    /// First ask the API about these owners.
    Ask(Vec<OwnerReference>),
    /// Its owners are gone, or wait for it.
    Delete(PropagationPolicy),
    /// Some owners are gone and some are not: only these references stay.
    KeepOwners(Vec<OwnerReference>),
    /// Take it out of these dependents' owners, then this finalizer off.
    Orphan(Vec<String>),
    /// All dependents that block it are gone: take the finalizer off.
    Release(&'static str),
    /// It waits for these dependents, which have to go.
    Await(Vec<String>),
}

/// Decides about the object with this uid. `asked` has the answers about owners that the graph does not know.
pub(crate) fn plan(graph: &Graph, uid: &str, asked: &HashMap<String, Asked>) -> Verdict {
    let Some(node) = graph.node(uid) else { return Verdict::Keep };
    if node.orphans_dependents() {
        let dependents: Vec<_> = graph.dependents(uid).map(|dependent| dependent.uid.clone()).collect();
        return if dependents.is_empty() { Verdict::Release(ORPHAN) } else { Verdict::Orphan(dependents) };
    }
    if node.waits_for_dependents() {
        let blocking: Vec<_> = graph
            .dependents(uid)
            .filter(|dependent| dependent.blocks(uid))
            .map(|dependent| dependent.uid.clone())
            .collect();
        return if blocking.is_empty() { Verdict::Release(FOREGROUND) } else { Verdict::Await(blocking) };
    }
    if node.is_deleting || node.owners.is_empty() {
        return Verdict::Keep;
    }
    by_owners(graph, node, asked)
}

fn by_owners(graph: &Graph, node: &Node, asked: &HashMap<String, Asked>) -> Verdict {
    let (mut solid, mut waiting, mut unknown) = (Vec::new(), 0, Vec::new());
    for reference in &node.owners {
        match state(graph, node, reference, asked) {
            None => unknown.push(reference.clone()),
            Some(Asked::Present) => solid.push(reference.clone()),
            Some(Asked::Waiting) => waiting += 1,
            Some(Asked::Absent) => {}
        }
    }
    if !unknown.is_empty() {
        return Verdict::Ask(unknown);
    }
    if solid.len() == node.owners.len() {
        return Verdict::Keep;
    }
    if !solid.is_empty() {
        return Verdict::KeepOwners(solid);
    }
    let has_dependents = graph.dependents(&node.uid).next().is_some();
    Verdict::Delete(if node.has_finalizer(ORPHAN) {
        PropagationPolicy::Orphan
    } else if node.has_finalizer(FOREGROUND) || waiting > 0 && has_dependents {
        // Its owner waits for it: so it waits for its own first, all the way down.
        PropagationPolicy::Foreground
    } else {
        PropagationPolicy::Background
    })
}

fn state(graph: &Graph, node: &Node, reference: &OwnerReference, asked: &HashMap<String, Asked>) -> Option<Asked> {
    match graph.node(&reference.uid).filter(|owner| owner.is_meant_by(reference, node)) {
        Some(owner) if owner.waits_for_dependents() => Some(Asked::Waiting),
        Some(_) => Some(Asked::Present),
        None => asked.get(&reference.uid).copied(),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
