//! Ends a cluster when its test has ended in whatever way: also killed, also when the cluster lives in a `static`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Waits for the end of its input, which comes with the end of the process that holds the other end.
/// Ctrl-C reaches it as well, and is the test's to end by.
const SCRIPT: &str = r#"
trap '' INT HUP TERM
if [ "$(cat)" = released ]; then exit; fi
if tr '\0' ' ' 2> /dev/null < "/proc/$1/cmdline" | grep --quiet --fixed-strings "$2"; then kill -KILL "$1"; fi
rm --recursive --force "$2"
"#;

/// Dropping it ends the cluster at once.
pub(crate) struct Watchdog {
    shell: Child,
    input: Option<ChildStdin>,
}

impl Watchdog {
    /// Guards the process `pid`, which has `folder` among its arguments, and removes the folder after it.
    pub(crate) fn over(pid: u32, folder: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "watchdog", &pid.to_string()]).arg(folder);
        let mut shell = shell.stdin(Stdio::piped()).spawn().expect("sh runs");
        let input = shell.stdin.take();
        Self { shell, input }
    }

    /// Leaves the process and its folder alone.
    pub(crate) fn release(mut self) {
        if let Some(input) = &mut self.input {
            input.write_all(b"released").expect("the shell reads");
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.shell.wait();
    }
}
