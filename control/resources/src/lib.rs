//! What each kind of object means.
//!
//! Every built-in resource is declared here as data ([`Resource`]) with a [`Strategy`]: how it is defaulted, prepared,
//! validated, printed and selected. Verbs are written once, elsewhere, for all of them.
//!
//! Everything here is a pure function of JSON objects and the time that is passed in (but for the random end of a generated
//! name). This crate never knows the store, HTTP, users, or other objects than the one at hand. Start reading at
//! [`Resource`] and [`all`], then open `pods/mod.rs`.

mod address;
/// Ages and durations as kubectl prints them.
pub mod age;
mod all;
mod cause;
mod certificates;
mod configmaps;
mod deployments;
mod diff;
mod endpoints;
mod endpointslices;
mod events;
mod ingresses;
mod json;
mod leases;
pub mod meta;
mod names;
mod namespaces;
mod networkpolicies;
mod nodes;
mod path;
mod pod_spec;
mod pods;
pub mod quantity;
mod replicasets;
mod replicationcontrollers;
mod resource;
mod reviews;
mod secrets;
pub mod selector;
mod serviceaccounts;
mod services;
mod strategy;
pub mod table;
mod usage;
mod volumes;
mod workload;

pub use all::all;
pub use cause::Cause;
pub use ingresses::{
    INGRESS_ADDRESSES, INGRESS_CONTROLLER, INGRESS_ROLE, ingress_class, ingress_uses_secret, is_default_ingress_class,
};
pub use path::Path;
pub use pods::{AccountPolicy, node_uses};
pub use resource::{Resource, Review, Scope, Subresource};
pub use strategy::{Column, NameGrammar, Strategy};
pub use usage::computed;
pub use volumes::is_default_class;
