//! The Deployment's size changed: its sets grow or shrink with it, each in proportion.

use std::cmp::Reverse;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use crate::claim::created;
use crate::deployment::limits::{Limits, is_recreate};
use crate::deployment::revision::{DESIRED, MOST};
use crate::deployment::rolling::Resize;
use crate::deployment::sets::{Sets, annotation, replicas, surely_available};

/// Whether any set with Pods still knows another size of the Deployment.
pub(crate) fn is_scaling(limits: Limits, sets: &Sets) -> bool {
    let active = sets.all().filter(|set| replicas(set) > 0);
    active.filter_map(|set| desired(set)).any(|known| known != limits.replicas)
}

/// The sizes that the sets should have, those included whose size stays and whose annotations do not.
pub(crate) fn scale(deployment: &Deployment, limits: Limits, sets: &Sets) -> Vec<Resize> {
    let active: Vec<_> = sets.all().filter(|set| replicas(set) > 0).cloned().collect();
    if active.len() <= 1 {
        let newest = active.first().or(sets.new.as_ref()).or(sets.old.last());
        return newest.map(|set| (set.clone(), limits.replicas)).into_iter().collect();
    }
    if is_saturated(limits, sets) {
        return sets.active_old().map(|set| (set.clone(), 0)).collect();
    }
    if is_recreate(deployment) {
        return Vec::new();
    }
    proportionally(limits, active, deployment.status.as_ref().and_then(|status| status.replicas).unwrap_or(0))
}

/// The new set has all that the Deployment wants, and all of it is available.
fn is_saturated(limits: Limits, sets: &Sets) -> bool {
    sets.new.as_ref().is_some_and(|new| {
        desired(new) == Some(limits.replicas)
            && replicas(new) == limits.replicas
            && surely_available(new) == limits.replicas
    })
}

fn proportionally(limits: Limits, mut sets: Vec<Arc<ReplicaSet>>, status_replicas: i32) -> Vec<Resize> {
    let allowed = if limits.replicas > 0 { limits.most() } else { 0 };
    let difference = allowed - sets.iter().map(|set| replicas(set)).sum::<i32>();
    // The largest takes the rounding's rest; of equals, the newest grows and the oldest shrinks.
    match difference > 0 {
        true => sets.sort_by_key(|set| (Reverse(replicas(set)), Reverse(created(&set.metadata)))),
        false => sets.sort_by_key(|set| (Reverse(replicas(set)), created(&set.metadata))),
    }
    let mut spent = 0;
    let mut sizes: Vec<Resize> = sets
        .into_iter()
        .map(|set| {
            let share = share(&set, limits, difference, spent, status_replicas);
            spent += share;
            let size = replicas(&set) + share;
            (set, size)
        })
        .collect();
    if let Some((_, first)) = sizes.first_mut() {
        *first = (*first + difference - spent).max(0);
    }
    sizes
}

fn share(set: &ReplicaSet, limits: Limits, difference: i32, spent: i32, status_replicas: i32) -> i32 {
    let left = difference - spent;
    if left == 0 {
        return 0;
    }
    let fraction = fraction(set, limits, status_replicas);
    if difference > 0 { fraction.min(left) } else { fraction.max(left) }
}

/// The set's part of the Deployment before, applied to its size now.
fn fraction(set: &ReplicaSet, limits: Limits, status_replicas: i32) -> i32 {
    if limits.replicas == 0 {
        return -replicas(set);
    }
    let before = annotation(set, MOST).and_then(|most| most.parse().ok()).filter(|most| *most > 0);
    let before: i32 = before.unwrap_or(status_replicas);
    if before == 0 {
        return 0;
    }
    let size = f64::from(replicas(set)) * f64::from(limits.most()) / f64::from(before);
    size.round() as i32 - replicas(set)
}

fn desired(set: &ReplicaSet) -> Option<i32> {
    annotation(set, DESIRED)?.parse().ok()
}
