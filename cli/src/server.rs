//! `carob server`: a control plane that nodes join, with a node of its own unless it is told otherwise.

use crate::args::ServerOptions;
use crate::up::{self, Cluster};

/// Runs the control plane until SIGTERM or Ctrl-C, or until a part of it fails.
pub(crate) fn run(options: ServerOptions) -> anyhow::Result<()> {
    let ServerOptions { data, listen, advertise_address, tls_san, no_node, mesh, control, node } = options;
    let node = (!no_node).then_some(node);
    let mesh_port = Some(mesh.mesh_port);
    up::run_cluster(Cluster { data, listen, advertise_address, tls_san, mesh_port, control, node, samples: false })
}
