//! What the nodes do for a Service of type LoadBalancer.

use std::net::IpAddr;
use std::sync::Arc;

use carob_net::Range;
use k8s_openapi::api::core::v1::{LoadBalancerIngress, Service, ServiceSpec};

use crate::table::Sources;

/// The class of load balancers that the nodes themselves are; that of a Service that names none.
const CLASS: &str = "carob.dev/host";

/// Where a Service's load is balanced.
pub(super) struct Balancer {
    /// This host listens at the Service's ports.
    pub(super) is_here: bool,
    /// Who may come in there.
    pub(super) sources: Sources,
    /// Addresses of load balancers, of any class, that need not be asked when a Pod means them.
    pub(super) from_pods: Vec<IpAddr>,
}

impl Balancer {
    /// None of a Service of another type. Its status says which hosts balance it: a controller decides that, so that no two
    /// Services get one port.
    pub(super) fn of(service: &Service, host: IpAddr) -> Option<Balancer> {
        let spec = service.spec.as_ref().filter(|spec| spec.type_.as_deref() == Some("LoadBalancer"))?;
        let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        let ingress = status.and_then(|status| status.ingress.as_deref()).unwrap_or_default();
        let is_ours = spec.load_balancer_class.as_deref().is_none_or(|class| class == CLASS);
        let mut ips = ingress.iter().filter_map(address);
        let is_here = is_ours && ips.any(|ip| ip == host);
        let sources = sources(spec);
        let from_pods =
            if sources == Sources::default() { ingress.iter().filter_map(virtual_ip).collect() } else { vec![] };
        Some(Balancer { is_here, sources, from_pods })
    }
}

fn sources(spec: &ServiceSpec) -> Sources {
    let ranges = spec.load_balancer_source_ranges.as_deref().filter(|ranges| !ranges.is_empty());
    // What cannot be read is a range of nobody: the API lets none pass.
    Sources(ranges.map(|ranges| ranges.iter().filter_map(|range| Range::parse(range.trim())).collect::<Arc<[Range]>>()))
}

fn address(ingress: &LoadBalancerIngress) -> Option<IpAddr> {
    ingress.ip.as_deref().and_then(|ip| ip.parse().ok())
}

/// The address, unless flows have to go through whatever has it. A Pod that means its loopback means itself.
fn virtual_ip(ingress: &LoadBalancerIngress) -> Option<IpAddr> {
    let is_virtual = ingress.ip_mode.as_deref().is_none_or(|mode| mode == "VIP");
    address(ingress).filter(|ip| is_virtual && !ip.is_loopback() && !ip.is_unspecified())
}
