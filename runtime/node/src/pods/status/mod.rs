//! What to report of a Pod.

mod conditions;
mod containers;

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{HostIP, Pod, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::observed::{ContainerView, Observed};
use super::phase::{initialized, phase};
use super::spec::{PodExt, Slot};
pub(super) use containers::next_change;

/// The status of a Pod, from what is known of it; `previous` is what was reported before, and gives the conditions the
/// times of their last change.
pub(crate) fn status(pod: &Pod, observed: &Observed, previous: &PodStatus, host: IpAddr, now: Timestamp) -> PodStatus {
    let init_count = pod.init_count();
    let (init, main) = observed.containers.split_at(init_count.min(observed.containers.len()));
    let progress = initialized(pod, init);
    let statuses = |first: usize, views: &[ContainerView]| -> Vec<_> {
        let slots = (first..).map(Slot).zip(views);
        slots.filter_map(|(slot, view)| containers::status(pod, slot, view, progress, now)).collect()
    };
    let init_statuses = statuses(0, init);
    let container_statuses = statuses(init_count, main);
    let phase = phase(pod, observed);
    let facts = conditions::Facts {
        pod,
        has_ip: observed.ip.is_some(),
        phase,
        init: &init_statuses,
        main: &container_statuses,
    };
    PodStatus {
        phase: Some(phase.as_str().to_owned()),
        conditions: Some(conditions::conditions(&facts, previous, now)),
        host_ip: Some(host.to_string()),
        host_ips: Some(vec![HostIP { ip: host.to_string() }]),
        pod_ip: observed.ip.map(|ip| ip.to_string()),
        pod_ips: observed.ip.map(|ip| vec![PodIP { ip: ip.to_string() }]),
        start_time: observed.started_at.map(Time),
        init_container_statuses: (!init_statuses.is_empty()).then_some(init_statuses),
        container_statuses: Some(container_statuses),
        observed_generation: pod.metadata.generation,
        ..PodStatus::default()
    }
}
