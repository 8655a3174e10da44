//! The only door.
//!
//! Serves the Kubernetes API: every read, write and watch of every part, and of every user, passes here. A request is
//! parsed once (`request/`), its identity is authorized, and a verb, written once for all resources, answers it. Objects
//! are parsed JSON checked against schema tables; what a kind of object means is declared in `carob-resources`. Reads are
//! answered from a cache that follows the store's log and holds each revision encoded once.
//!
//! This crate never knows what a Pod does, never runs or schedules anything and never opens the store's file. Start reading
//! at [`ApiServer`], then `edge/pipeline.rs` (the way of a request), `verbs/` and `cache/`.

mod access;
mod admit;
mod allocate;
mod bootstrap;
mod cache;
mod codec;
mod config;
mod dialer;
mod discovery;
mod edge;
mod expire;
mod health;
mod in_process;
mod kubelet;
mod metrics;
mod openapi;
mod proxy;
mod random;
mod registry;
mod request;
mod server;
mod status;
mod tokens;
mod usage;
mod verbs;

pub use access::{AllowAuthenticated, Attributes, Authorizer, Decision, Identity};
pub use config::{Config, Limits};
pub use dialer::{AsyncReadWrite, NoNodes, NodeDialer};
pub use in_process::InProcess;
pub use server::{ApiServer, Error};
