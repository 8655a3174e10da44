//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Writes `bytes` to `<dir>/<their SHA-256>`, if they are not there yet, and answers with their digest.
pub(super) fn blob(dir: &Path, bytes: &[u8]) -> io::Result<String> {
    let digest = digest(bytes);
    let path = dir.join(digest.trim_start_matches("sha256:"));
    if !path.exists() {
        replace(&path, bytes)?;
    }
    Ok(digest)
}

/// `sha256:` and the SHA-256 of `bytes`, in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Puts `bytes` in the place of `path`. One at a time: the store's lock is held.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_dir(dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
