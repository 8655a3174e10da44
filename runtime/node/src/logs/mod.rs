//! What containers print, in the CRI format, in files of the Pod's folder.
//!
//! ```text
//! pods/<namespace>_<name>_<uid>/<container>/<restart>.log                     being written
//! pods/<namespace>_<name>_<uid>/<container>/<restart>.log.<time of rotation>  older
//! ```
//!
//! A writer runs on the guest's thread: there is no buffer beyond one line, and a guest that prints a lot is slowed by
//! its own writes. A full disk loses lines, and says how many bytes, but ends neither the guest nor the node.

mod follow;
mod format;
mod layout;
mod reader;
mod writer;

pub(crate) use follow::stream;
pub(crate) use layout::{PodDirs, PodRef};
pub(crate) use reader::LogOptions;
pub(crate) use writer::{LogHub, LogWriter};

#[cfg(test)]
mod tests;
