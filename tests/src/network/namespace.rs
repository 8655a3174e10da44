//! A network namespace without a name.
//!
//! It lives as long as somebody holds it or runs in it, and the kernel takes its links away with it: there is nothing that
//! could be left behind, however the test ends.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

#[derive(Clone, Debug)]
pub(super) struct Namespace {
    file: Arc<File>,
}

impl Namespace {
    /// A new one, with nothing in it but a loopback that is down.
    ///
    /// # Panics
    /// If the test does not run as root.
    pub(super) fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "tests with network namespaces need root: run them with sudo, or in a container with CAP_SYS_ADMIN and CAP_NET_ADMIN"
        );
        let mut keeper = Command::new("unshare");
        keeper.args(["--net", "sh", "-c", "echo; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn().expect("unshare of util-linux runs");
        let mut entered = [0];
        let output = keeper.stdout.as_mut().expect("the output is piped");
        output.read_exact(&mut entered).expect("a network namespace can be made");
        let file = File::open(format!("/proc/{}/ns/net", keeper.id())).expect("the keeper lives");
        // Our open file keeps it from now on.
        drop(keeper.stdin.take());
        keeper.wait().expect("the keeper ends with its input");
        Self { file: Arc::new(file) }
    }

    /// Where other processes find it, while this one lives.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// A command that runs inside.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path())).arg("--").arg(program);
        command
    }

    /// Moves this thread inside, for good: the sockets that it makes are there.
    pub(super) fn enter(&self) {
        move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may enter");
    }

    /// What `act` gives, on a thread inside.
    pub(super) fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            self.enter();
            act()
        };
        thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
