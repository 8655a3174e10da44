//! What the node does when it runs short of memory, disk or processes.
//!
//! What is short (`thresholds.rs`) and how long that is told (`pressure.rs`) is pure; the evictor looks.

mod evictor;
mod pressure;
mod thresholds;

pub(crate) use self::evictor::Evictor;
pub(crate) use self::pressure::{Hysteresis, Pressure};
pub(crate) use self::thresholds::{Condition, Signal};
pub use self::thresholds::{Thresholds, ThresholdsError};
