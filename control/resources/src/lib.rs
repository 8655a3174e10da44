//! What each kind of object means.
//!
//! Every built-in resource is declared here as data ([`Resource`]) with a [`Strategy`]: how it is defaulted, prepared,
//! validated, printed and selected. Verbs are written once, elsewhere, for all of them.
//!
//! Everything here is a pure function of JSON objects and the time that is passed in. This crate never knows the store,
//! HTTP, users, or other objects than the one at hand. Start reading at [`Resource`], then open `pods.rs`.

mod resource;
mod strategy;

pub use resource::{Resource, Scope, Subresource};
pub use strategy::{Cause, Column, Strategy};
