//! HTTP components: how many requests, how soon the first byte, and what a neighbour notices of spinning guests.
//!
//! Requests per second are measured through a node port, as users ask: Service, load balancing and engine together stand
//! beside hyper that calls wasmtime itself (`bare.rs`), and beside hyper without any guest (`native.rs`). Elsewhere the
//! engine is behind a plain hyper server.

mod bare;
pub(crate) mod client;
mod cold;
mod gateway;
pub(crate) mod guest;
mod native;
pub(crate) mod neighbours;
mod nginx;
mod node_port;
pub(crate) mod ours;
mod requests;
pub(crate) mod serve;
mod wasmtime_serve;

pub(crate) use cold::run as cold;
pub(crate) use gateway::run as gateway;
pub(crate) use guest::engine;
pub(crate) use neighbours::run as neighbours;
pub(crate) use ours::Silent;
pub(crate) use requests::run as requests;
