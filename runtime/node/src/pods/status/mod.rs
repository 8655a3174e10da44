//! What to report of a Pod.

mod conditions;
mod containers;

use std::net::IpAddr;
use std::ops::Range;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, HostIP, Pod, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::doom::Doom;
use super::observed::Observed;
use super::phase::{Init, initialized, phase};
use super::slot::Slot;
use super::spec::PodExt;
pub(super) use containers::next_change;

/// The status of a Pod, from what is known of it; `previous` is what was reported before, and gives the conditions the
/// times of their last change.
pub(crate) fn status(pod: &Pod, observed: &Observed, previous: &PodStatus, host: IpAddr, now: Timestamp) -> PodStatus {
    let progress = initialized(pod, observed);
    let statuses = |slots: Range<usize>| -> Vec<ContainerStatus> {
        let status = |slot| containers::status(pod, slot, observed.get(slot)?, progress, now);
        slots.map(Slot).filter_map(status).collect()
    };
    let (init_count, lasting_count) = (pod.init_count(), pod.lasting_count());
    let init_statuses = statuses(0..init_count);
    let container_statuses = statuses(init_count..lasting_count);
    let ephemeral_statuses = statuses(lasting_count..observed.containers.len());
    let phase = phase(pod, observed);
    let facts = conditions::Facts {
        pod,
        has_ip: observed.ip.is_some(),
        phase,
        initialized: progress == Init::Done,
        evicted: match &observed.doom {
            Some(Doom::Evicted(why)) => Some(why),
            _ => None,
        },
        unfulfilled: observed.unfulfilled.as_ref(),
        init: &init_statuses,
        main: &container_statuses,
    };
    let words = observed.doom.as_ref().map(Doom::words);
    PodStatus {
        phase: Some(phase.as_str().to_owned()),
        conditions: Some(conditions::conditions(&facts, previous, now)),
        host_ip: Some(host.to_string()),
        host_ips: Some(vec![HostIP { ip: host.to_string() }]),
        pod_ip: observed.ip.map(|ip| ip.to_string()),
        pod_ips: observed.ip.map(|ip| vec![PodIP { ip: ip.to_string() }]),
        start_time: observed.started_at.map(Time),
        reason: words.map(|(reason, _)| reason.to_owned()),
        message: words.map(|(_, message)| message.to_owned()),
        init_container_statuses: (!init_statuses.is_empty()).then_some(init_statuses),
        ephemeral_container_statuses: (!ephemeral_statuses.is_empty()).then_some(ephemeral_statuses),
        container_statuses: Some(container_statuses),
        observed_generation: pod.metadata.generation,
        ..PodStatus::default()
    }
}
