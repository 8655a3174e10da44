//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Copies `source` to `<dir>/<its SHA-256>` and answers with its digest and length.
pub(super) fn blob(dir: &Path, source: &mut impl Read) -> io::Result<(String, u64)> {
    let temporary = dir.join(format!(".{}", uuid::Uuid::new_v4()));
    let published = copy_hashed(source, &temporary).and_then(|(hex, size)| {
        fs::rename(&temporary, dir.join(&hex))?;
        sync_dir(dir)?;
        Ok((format!("sha256:{hex}"), size))
    });
    if published.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    published
}

/// Puts `bytes` in the place of `path`.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_dir(dir)
}

fn copy_hashed(source: &mut impl Read, target: &Path) -> io::Result<(String, u64)> {
    let mut file = File::create_new(target)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        file.write_all(&buffer[..read])?;
        size += read as u64;
    }
    file.sync_all()?;
    Ok((hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), size))
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
