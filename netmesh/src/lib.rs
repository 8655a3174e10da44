//! Carries bytes to the endpoints of Services.
//!
//! Today: the node ports of Services, listened to on this host. A request that arrives there is handed, in this process, to
//! a ready endpoint of the Service that answers HTTP through the registry of `carob-net`.
//!
//! - `table`: which node ports and ready endpoints there are (pure; changes go in, effects come out);
//! - `follow`: turns what the API says about Services and EndpointSlices into changes of the table;
//! - `node_ports`, `listener`, `connection`: the sockets;
//! - `balance`: chooses the endpoint for one request, and takes it to another when the first is closing.
//!
//! This crate never knows wasmtime, and never asks what runs behind an endpoint. Start reading at [`Services`].

mod backends;
mod balance;
mod connection;
mod events;
mod follow;
mod listener;
mod node_ports;
mod objects;
mod services;
mod table;

pub use services::{NetmeshConfig, Services};
