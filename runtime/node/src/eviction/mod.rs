//! What the node does when it runs short of memory, disk or processes: says so, takes fewer Pods, and evicts some.
//!
//! What is short (`thresholds.rs`), how long that is told (`pressure.rs`), who goes first (`ranking.rs`), who is taken
//! meanwhile (`admission.rs`) and what is told of it (`words.rs`) is pure; the evictor looks, and has a Pod's worker end it.

mod admission;
mod evictor;
mod pressure;
mod ranking;
mod thresholds;
mod words;

pub(crate) use self::admission::refusal;
pub(crate) use self::evictor::Evictor;
pub(crate) use self::pressure::{Hysteresis, Pressure};
pub(crate) use self::thresholds::{Condition, Signal};
pub use self::thresholds::{Thresholds, ThresholdsError};

/// Pods of this priority and above are needed by the cluster itself: they are never evicted, and always taken.
const CRITICAL: i32 = 2_000_000_000;
