//! The arithmetic of a rolling update: one step up or one step down at a time.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;

use crate::deployment::limits::Limits;
use crate::deployment::sets::{Sets, is_observed, replicas, surely_available};

/// A set and the size it should have.
pub(crate) type Resize = (Arc<ReplicaSet>, i32);

/// How many replicas the new set should have now, given how many it has (0 before it exists).
pub(crate) fn new_size(limits: Limits, sets: &Sets) -> i32 {
    let present = sets.new.as_ref().map_or(0, |set| replicas(set));
    if present >= limits.replicas {
        return limits.replicas;
    }
    let room = (limits.most() - sets.replicas()).max(0);
    present + room.min(limits.replicas - present)
}

/// Which old sets shrink now. What is unavailable goes first, since nobody misses it; then as many available Pods
/// as there are above the least.
pub(crate) fn shrink_old(limits: Limits, sets: &Sets) -> Vec<Resize> {
    let Some(new) = &sets.new else { return Vec::new() };
    let new_unavailable = replicas(new) - surely_available(new);
    let most = sets.replicas() - limits.least_available() - new_unavailable;
    if most <= 0 {
        return Vec::new();
    }
    let mut sizes: Vec<Resize> = sets.active_old().map(|set| (set.clone(), replicas(set))).collect();
    let cleaned = clean_up_unavailable(&mut sizes, most);
    let spare = (sets.surely_available() - limits.least_available()).min(most - cleaned);
    take_available(&mut sizes, spare);
    sizes.retain(|(set, size)| replicas(set) != *size);
    sizes
}

fn clean_up_unavailable(sizes: &mut [Resize], most: i32) -> i32 {
    let mut cleaned = 0;
    for (set, size) in sizes {
        let taken = if is_observed(set) { (*size - surely_available(set)).clamp(0, most - cleaned) } else { 0 };
        *size -= taken;
        cleaned += taken;
    }
    cleaned
}

fn take_available(sizes: &mut [Resize], mut spare: i32) {
    for (_, size) in sizes {
        let taken = (*size).clamp(0, spare.max(0));
        *size -= taken;
        spare -= taken;
    }
}
