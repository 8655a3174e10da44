//! Pods of this node: one task for each, level-triggered.
//!
//! What is decided is pure: [`plan`] says what to do next, [`status`] what to report, both from the Pod and what was
//! observed of its containers. A [`worker`] does it, and the [`manager`] gives every Pod its worker.

mod amounts;
mod backoff;
mod capabilities;
mod composition;
mod context;
mod doom;
mod ending;
mod env;
mod events;
mod given;
mod happened;
mod hooks;
mod hostname;
mod last_words;
mod links;
mod manager;
mod names;
mod observed;
mod phase;
mod place;
mod plan;
mod probe;
mod reach;
mod recover;
mod report;
mod resize;
mod restart;
mod siblings;
mod slot;
mod sources;
mod spec;
mod start;
mod status;
mod stop;
mod table;
mod unsupported;
mod worker;

pub(crate) use capabilities::KEYVALUE;
pub(crate) use context::Context;
pub(crate) use doom::Doom;
pub(crate) use env::resource_field;
pub(crate) use events::{EventWriter, Kind as EventKind, Recorder};
pub(crate) use given::GivenFile;
pub(crate) use links::{Links, ServiceWatch};
pub(crate) use manager::run;
pub(crate) use spec::PodExt;
pub(crate) use table::{ContainerBrief, PodTable, PodView};
pub(crate) use worker::Desired;

#[cfg(test)]
mod tests;
