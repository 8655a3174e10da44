//! One Service of the zone with its endpoints.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::change::{Endpoint, Namespaced, Service, ServicePort, Slice};

/// A Service and its slices, either of which may become known first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) service: Option<Service>,
    slices: BTreeMap<Namespaced, Slice>,
    /// The addresses of each published endpoint, by its label; each with how often it is listed, since an endpoint that moves
    /// from one slice to another is in both for a while.
    hosts: HashMap<String, BTreeMap<IpAddr, usize>>,
}

/// An address that a name of the zone begins or ends to have.
pub(super) type Published = (String, IpAddr);

impl Known {
    pub(super) fn is_empty(&self) -> bool {
        self.service.is_none() && self.slices.is_empty()
    }

    /// Takes in what the Service is; gives the endpoints that were, and those that are published by it.
    pub(super) fn replace_service(&mut self, service: Option<Service>) -> (Vec<Published>, Vec<Published>) {
        let publishes = |service: &Option<Service>| match service {
            Some(Service::Headless { publish_not_ready }) => Some(*publish_not_ready),
            _ => None,
        };
        if publishes(&self.service) == publishes(&service) {
            self.service = service;
            return Default::default();
        }
        let old = self.all_published();
        old.iter().for_each(|published| self.unpublish(published));
        self.service = service;
        let new = self.all_published();
        new.iter().for_each(|published| self.publish(published));
        (old, new)
    }

    /// Takes in what a slice lists; gives the endpoints that were, and those that are published by it.
    pub(super) fn replace_slice(
        &mut self,
        name: &Namespaced,
        slice: Option<Slice>,
    ) -> (Vec<Published>, Vec<Published>) {
        let old = self.slices.remove(name).map(|slice| self.published(&slice)).unwrap_or_default();
        old.iter().for_each(|published| self.unpublish(published));
        let new = slice.as_ref().map(|slice| self.published(slice)).unwrap_or_default();
        new.iter().for_each(|published| self.publish(published));
        self.slices.extend(slice.map(|slice| (name.clone(), slice)));
        (old, new)
    }

    /// The addresses of the endpoint with that label.
    pub(super) fn host(&self, label: &str) -> Option<impl Iterator<Item = IpAddr>> {
        self.hosts.get(label).map(|addresses| addresses.keys().copied())
    }

    /// The labels of all published endpoints with their addresses; an address with two labels comes twice.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (&str, IpAddr)> {
        self.hosts.iter().flat_map(|(label, addresses)| addresses.keys().map(move |ip| (label.as_str(), *ip)))
    }

    /// The named ports of the published endpoints, each with the endpoint's label.
    pub(super) fn endpoint_ports(&self) -> impl Iterator<Item = (&ServicePort, String)> {
        self.slices.values().flat_map(move |slice| {
            let labels: Vec<String> = self.listed(slice).map(Endpoint::label).collect();
            slice.ports.iter().flat_map(move |port| labels.clone().into_iter().map(move |label| (port, label)))
        })
    }

    fn all_published(&self) -> Vec<Published> {
        self.slices.values().flat_map(|slice| self.published(slice)).collect()
    }

    fn published(&self, slice: &Slice) -> Vec<Published> {
        self.listed(slice).map(|endpoint| (endpoint.label(), endpoint.address)).collect()
    }

    /// The endpoints of a slice that have names. Those of a Service with addresses of its own have none.
    fn listed<'a>(&self, slice: &'a Slice) -> impl Iterator<Item = &'a Endpoint> + use<'a> {
        let (headless, all) = match self.service {
            Some(Service::Headless { publish_not_ready }) => (true, publish_not_ready),
            _ => (false, false),
        };
        slice.endpoints.iter().filter(move |endpoint| headless && (all || endpoint.ready))
    }

    fn publish(&mut self, (label, address): &Published) {
        *self.hosts.entry(label.clone()).or_default().entry(*address).or_default() += 1;
    }

    fn unpublish(&mut self, (label, address): &Published) {
        let Some(addresses) = self.hosts.get_mut(label) else { return };
        if let Some(times) = addresses.get_mut(address) {
            *times -= 1;
            if *times == 0 {
                addresses.remove(address);
            }
        }
        if addresses.is_empty() {
            self.hosts.remove(label);
        }
    }
}
