//! Claims get their volumes, and volumes go the way that they are meant to when their claims are gone.
//!
//! `claim.rs` and `volume.rs` decide, purely; `binder.rs` carries out. `protection.rs` lets go of what was deleted once
//! nobody uses it. Who makes volumes, and removes what is behind them, is a provisioner: for a node's own folders, the node.

mod binder;
mod claim;
mod notice;
mod protection;
mod volume;

use crate::context::Context;

/// Starts the controllers.
pub(crate) fn start(context: &mut Context<'_>) {
    binder::start(context);
    protection::start(context);
}
