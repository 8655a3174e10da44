//! One machine of a network.

use std::ffi::OsStr;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use super::lines::Port;
use super::namespace::Namespace;

/// A machine: a network namespace with a link, an address, and a clock that may be wrong.
#[derive(Clone, Debug)]
pub struct Machine {
    port: Port,
    address: Ipv4Addr,
    namespace: Namespace,
    /// How far its clock is off, as faketime reads it.
    clock: Option<String>,
}

impl Machine {
    pub(super) fn new(port: Port, address: Ipv4Addr, namespace: Namespace) -> Self {
        Self { port, address, namespace, clock: None }
    }

    /// The same with a clock that is off, such as `+2h` or `-30m`.
    #[must_use]
    pub fn with_clock(self, off: &str) -> Self {
        Self { clock: Some(off.to_owned()), ..self }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A command that runs on it.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.namespace.command(program);
        if let Some(off) = &self.clock {
            command.env("LD_PRELOAD", faketime()).env("FAKETIME", off).env("DONT_FAKE_MONOTONIC", "1");
        }
        command
    }

    /// What `act` gives, on a thread of this machine: the sockets that it makes are there.
    ///
    /// # Panics
    /// If `act` does.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.namespace.within(act)
    }

    /// Moves this thread to the machine, for good.
    pub(crate) fn enter(&self) {
        self.namespace.enter();
    }

    pub(super) fn port(&self) -> Port {
        self.port
    }
}

/// The library that shows a process another time: Debian's `libfaketime`.
fn faketime() -> PathBuf {
    let of_each_architecture = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut candidates = of_each_architecture.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    candidates.find(|library| library.is_file()).expect("libfaketime is missing: run `make tools`")
}
