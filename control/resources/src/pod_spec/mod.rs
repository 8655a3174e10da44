//! The rules of a Pod's `spec`, whether it stands in a Pod or in a template.

mod affinity;
mod containers;
mod defaults;
mod env;
mod handlers;
mod mounts;
mod ports;
mod resources;
mod scheduling;
mod spec;
mod template;
mod tolerations;
mod volume_files;
mod volumes;
mod warnings;

pub(crate) use affinity::check_node_selector;
pub(crate) use defaults::default_spec;
pub(crate) use ports::{check_protocol, invalid_number};
pub(crate) use resources::{canonical_quantities, default_requests, qos_class};
pub(crate) use spec::validate_spec;
pub(crate) use template::{default_template, template_warnings, validate_template};
pub(crate) use tolerations::check_taint_effect;
pub(crate) use warnings::spec_warnings;
