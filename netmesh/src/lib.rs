//! Carries bytes: between Pods, to the endpoints of Services, and to and from the world outside.
//!
//! Four parts. [`Mesh`] is the network of this node's Pods, all in this process: their loopbacks, ports, connections, names,
//! and their way out past the decision point. [`Services`] follows what the API says about Services and EndpointSlices, and
//! makes them reachable: from Pods at their addresses and by name, from outside at ports of the host. [`Policies`] are the
//! NetworkPolicies that say which flows may pass. [`Peers`] joins the Pods' network with those of the other nodes, by QUIC.
//!
//! - `mesh`: the Pods' network;
//! - `peers`: the way to Pods of other nodes, and theirs to this one's;
//! - `table`: where Services can be reached, and their ready endpoints (pure; changes go in, effects come out);
//! - `policy`: NetworkPolicies, a rule of the decision point;
//! - `follow`: turns what the API says into changes of the table;
//! - `pod_ports`: the ports of the host that Pods ask for (pure, as the table);
//! - `host_ports`, `listener`, `target`, `udp_port`, `health`: the host's ports;
//! - `balance`: chooses the endpoint for one request, and takes it to another when the first is closing;
//! - `connection`: serves HTTP on one connection;
//! - `ingress`: the gateway that serves Ingresses.
//!
//! This crate never knows wasmtime, and never asks what runs behind an endpoint. Start reading at [`Mesh`].

mod backends;
mod balance;
mod connection;
mod events;
mod follow;
mod health;
mod host_ports;
mod ingress;
mod listener;
mod mesh;
mod objects;
mod peers;
mod pod_ports;
mod policy;
mod services;
mod subject;
mod table;
mod target;
mod udp_port;

pub use ingress::{Announcement, Figures, Gateway, GatewayConfig, GatewayError, Limits, Timeouts};
pub use mesh::{Caps, Mesh, MeshConfig, Range};
pub use peers::{
    Conflict, Credentials, CredentialsError, IdentityError, Limits as PeerLimits, MESH_ADDRESS, NodeName, Peers,
    PeersConfig, PeersError, Place, Routes, follow_nodes,
};
pub use policy::Policies;
pub use services::{NetmeshConfig, Services};

/// For `tests/fuzz`.
#[cfg(feature = "fuzzing")]
pub use peers::protocol::fuzzing::run as read_mesh_protocol;
