//! Where the binaries are that the tests drive.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The oldest minor version of kubectl that the tests are written for.
const KUBECTL_MINOR: u32 = 36;

/// The `carob` that was built beside the running test.
///
/// # Panics
/// If there is none, saying how to build it.
#[must_use]
pub fn carob() -> PathBuf {
    let test = env::current_exe().expect("the running program has a path");
    let folder = test.parent().and_then(Path::parent).expect("cargo keeps tests in target/PROFILE/deps");
    let carob = folder.join("carob");
    assert!(
        carob.is_file(),
        "{} is missing: run `cargo build --package carob` first, as `make test` does",
        carob.display()
    );
    carob
}

/// A current kubectl: `CAROB_KUBECTL`, or what `make tools` installed, or the one on the path.
///
/// # Panics
/// If there is none, saying how to install it.
pub(crate) fn kubectl() -> &'static Path {
    static KUBECTL: LazyLock<PathBuf> = LazyLock::new(|| {
        let installed = target().join("tools/usr/bin/kubectl");
        let named = env::var_os("CAROB_KUBECTL").map(PathBuf::from);
        let candidates = [named, Some(installed), Some("kubectl".into())];
        let current = candidates.into_iter().flatten().find(|path| is_current(path));
        current.expect("there is no kubectl of version 1.36 or newer: run `make tools`, or set CAROB_KUBECTL")
    });
    &KUBECTL
}

/// A Python that has the Kubernetes client: `CAROB_PYTHON`, or what `make tools` installed.
///
/// # Panics
/// If there is none, saying how to install it.
#[must_use]
pub fn python() -> PathBuf {
    let installed = target().join("tools/venv/bin/python");
    let python = env::var_os("CAROB_PYTHON").map_or(installed, PathBuf::from);
    assert!(python.is_file(), "{} is missing: run `make tools`, or set CAROB_PYTHON", python.display());
    python
}

/// What asks DNS servers.
///
/// # Panics
/// If there is none, saying how to install it.
#[must_use]
pub fn dig() -> &'static Path {
    let found = Command::new("dig").arg("-v").output();
    assert!(found.is_ok(), "there is no dig: run `make tools`");
    Path::new("dig")
}

/// The folder of the sample components: `CAROB_SAMPLES_DIR`, or what is checked in.
#[must_use]
pub fn samples() -> PathBuf {
    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/dist");
    env::var_os("CAROB_SAMPLES_DIR").map_or(checked_in, PathBuf::from)
}

/// cargo's target folder.
fn target() -> PathBuf {
    carob().ancestors().nth(2).expect("carob is in target/PROFILE").to_owned()
}

fn is_current(kubectl: &Path) -> bool {
    let Ok(output) = Command::new(kubectl).args(["version", "--client", "--output=json"]).output() else {
        return false;
    };
    let version: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let minor = version["clientVersion"]["minor"].as_str().unwrap_or_default();
    minor.trim_end_matches('+').parse::<u32>().is_ok_and(|minor| minor >= KUBECTL_MINOR)
}
