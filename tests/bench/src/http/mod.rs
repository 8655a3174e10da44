//! HTTP components: how many requests, how soon the first byte, and what a neighbour notices of spinning guests.
//!
//! The engine is measured behind a plain hyper server, so that what stands between a socket and the guest is all that
//! differs from the floors: hyper that calls wasmtime itself (`bare.rs`), and hyper without any guest (`native.rs`).

mod bare;
mod client;
mod cold;
mod guest;
mod native;
mod neighbours;
mod ours;
mod requests;
mod serve;

pub(crate) use cold::run as cold;
pub(crate) use neighbours::run as neighbours;
pub(crate) use requests::run as requests;
