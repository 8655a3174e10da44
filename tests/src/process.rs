//! A `carob` that runs until it is killed, and never longer than its test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::said::Said;
use crate::wait::PATIENCE;
use crate::watchdog::Watchdog;

pub(crate) struct Process {
    child: Child,
    watchdog: Option<Watchdog>,
    log: PathBuf,
}

impl Process {
    /// Starts it; its log is in `folder`, which goes with it.
    ///
    /// # Panics
    /// If it cannot be started.
    pub(crate) fn run(mut command: Command, folder: &Path) -> Self {
        let log = folder.join("carob.log");
        let written = File::options().create(true).append(true).open(&log).expect("the log can be written");
        command.args(["--log-format", "text", "--data-dir"]).arg(folder.join("data"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(written).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let watchdog = Some(Watchdog::over(child.id(), folder));
        Self { child, watchdog, log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("carob runs");
        self.child.wait().expect("carob has ended");
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.release();
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_some()
    }

    /// Waits for a line that begins so and is not the first.
    pub(crate) fn wait_for(&mut self, word: &str) {
        let mut output = Said::of(self.child.stdout.take().expect("the output is piped"));
        if let Err(problem) = output.until_within(&format!("\n{word}"), PATIENCE) {
            panic!("carob: {problem}\nIts log:\n{}", self.log());
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
