//! Bytes between two Pods of a node, through the network that their containers use, beside the kernel's loopback between
//! two native processes: this executable runs itself as the other one.
//!
//! On both sides a piece is copied out of the sender's memory and into the receiver's, as it is between guests.

mod native;
mod pods;

use std::time::Duration;

use anyhow::Result;

use crate::measure::Load;
use crate::table::{Row, Target};

pub(crate) use native::{PEER, peer};

/// Of each measurement; they take turns, so that both sides see the same machine.
const TIME: Duration = Duration::from_secs(1);
const TURNS: usize = 3;
/// What is written and read at once.
const PIECE: usize = 64 * 1024;
/// A question, and its answer.
const PING: usize = 64;

pub(crate) async fn run() -> Result<Vec<Row>> {
    let (mut ours, mut kernel) = (Figures::default(), Figures::default());
    for _ in 0..TURNS {
        kernel.add(tokio::task::spawn_blocking(native::measure).await??);
        ours.add(pods::measure().await?);
    }
    let kernel_is = "kernel loopback TCP, two native processes";
    Ok(vec![
        Row {
            what: "Pod to Pod, one connection",
            unit: "GiB/s",
            ours: ours.gib_per_second(),
            floor_is: kernel_is,
            floor: kernel.gib_per_second(),
            target: Target::AtLeast(1.0),
        },
        Row {
            what: "Pod to Pod, round trip of 64 bytes, p50",
            unit: "us",
            ours: ours.pings.quantile(0.5) * 1e3,
            floor_is: kernel_is,
            floor: kernel.pings.quantile(0.5) * 1e3,
            target: Target::AtMost(1.0),
        },
    ])
}

/// What a way between two ends can do.
struct Figures {
    bytes: u64,
    took: Duration,
    pings: Load,
}

impl Default for Figures {
    fn default() -> Figures {
        Figures { bytes: 0, took: Duration::ZERO, pings: Load::EMPTY }
    }
}

impl Figures {
    fn add(&mut self, other: Figures) {
        self.bytes += other.bytes;
        self.took += other.took;
        self.pings.add(other.pings);
    }

    fn gib_per_second(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 30) / self.took.as_secs_f64()
    }
}
