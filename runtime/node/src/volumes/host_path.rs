use std::fs::{self, DirBuilder, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::Place;
use super::error::VolumeError;

/// The place that a hostPath means, after a look whether it is what its type says. It blocks.
///
/// A path without a type that is not there becomes a folder, as container runtimes make it.
pub(super) fn place(path: &str, kind: &str) -> Result<Place, VolumeError> {
    let path = Path::new(path);
    match kind {
        "DirectoryOrCreate" => create_dir(path)?,
        "FileOrCreate" => create_file(path)?,
        "" if !path.exists() => create_dir(path)?,
        _ => {}
    }
    let failed = |problem| VolumeError::HostPath { path: path.to_owned(), problem };
    let found = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed(is_not(kind)),
        _ => VolumeError::Disk { path: path.to_owned(), source: error },
    })?;
    if !fits(kind, found.file_type()) {
        return Err(failed(is_not(kind)));
    }
    // A link is followed once, here: a guest never follows one out of what it was given.
    let real = fs::canonicalize(path).map_err(VolumeError::disk(path))?;
    if found.is_dir() {
        return Ok(Place::Folder(real));
    }
    match (real.parent(), real.file_name().and_then(|name| name.to_str())) {
        (Some(dir), Some(name)) => Ok(Place::File { dir: dir.to_owned(), name: name.to_owned() }),
        _ => Err(failed("is not a file")),
    }
}

fn fits(kind: &str, found: FileType) -> bool {
    match kind {
        "Directory" | "DirectoryOrCreate" => found.is_dir(),
        "File" | "FileOrCreate" => found.is_file(),
        "Socket" => found.is_socket(),
        "CharDevice" => found.is_char_device(),
        "BlockDevice" => found.is_block_device(),
        _ => true,
    }
}

fn is_not(kind: &str) -> &'static str {
    match kind {
        "File" | "FileOrCreate" => "is not a file",
        "Socket" => "is not a socket file",
        "CharDevice" => "is not a character device",
        "BlockDevice" => "is not a block device",
        _ => "is not a directory",
    }
}

fn create_dir(path: &Path) -> Result<(), VolumeError> {
    DirBuilder::new().recursive(true).mode(0o755).create(path).or_else(|error| match path.exists() {
        // It is something else, which its type check says better.
        true => Ok(()),
        false => Err(VolumeError::disk(path)(error)),
    })
}

fn create_file(path: &Path) -> Result<(), VolumeError> {
    if path.exists() {
        return Ok(());
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    made.map(drop).map_err(VolumeError::disk(path))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn every_type_is_checked_in_the_kubelets_words() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        fs::create_dir(at("dir")).unwrap();
        fs::write(at("file"), "x").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink(at("dir"), at("link")).unwrap();
        let folder = |name: &str| Ok(Place::Folder(fs::canonicalize(dir.path()).unwrap().join(name)));
        let file = |name: &str| Ok(Place::File { dir: fs::canonicalize(dir.path()).unwrap(), name: name.to_owned() });
        let refused = |name: &str, problem: &str| Err(format!("hostPath type check failed: {} {problem}", at(name)));
        for (name, kind, expected) in [
            ("dir", "Directory", folder("dir")),
            ("link", "Directory", folder("dir")),
            ("dir", "", folder("dir")),
            ("new", "", folder("new")),
            ("made/deep", "DirectoryOrCreate", folder("made/deep")),
            ("file", "File", file("file")),
            ("file", "", file("file")),
            ("created", "FileOrCreate", file("created")),
            ("socket", "Socket", file("socket")),
            ("/dev/null", "CharDevice", Ok(Place::File { dir: PathBuf::from("/dev"), name: "null".into() })),
            ("absent", "Directory", refused("absent", "is not a directory")),
            ("file", "Directory", refused("file", "is not a directory")),
            ("file", "DirectoryOrCreate", refused("file", "is not a directory")),
            ("dir", "File", refused("dir", "is not a file")),
            ("dir", "FileOrCreate", refused("dir", "is not a file")),
            ("absent", "File", refused("absent", "is not a file")),
            ("file", "Socket", refused("file", "is not a socket file")),
            ("file", "CharDevice", refused("file", "is not a character device")),
            ("file", "BlockDevice", refused("file", "is not a block device")),
        ] {
            let found = place(&at(name), kind).map_err(|error| error.to_string());
            assert_eq!(found, expected, "{name} as {kind:?}");
        }
    }
}
