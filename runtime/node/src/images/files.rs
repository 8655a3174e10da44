//! The files that a bundle carries beside its program.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tar::{Archive, EntryType};

use super::bundle::{NotBundle, is_inside, is_program};
use super::wasm;

/// Whether the file is a bundle that holds more than its program.
pub(super) fn has_files(image: File) -> io::Result<bool> {
    let Some(mut archive) = archive(image)? else { return Ok(false) };
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        if entry.header().entry_type() == EntryType::Regular && !is_program(&entry.path()?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the files of a bundle below the empty folder `to`. Everything that could lead out of it was refused when the
/// image was loaded, and is once more: the store's files are the user's.
pub(super) fn unpack(image: File, to: &Path) -> io::Result<()> {
    let Some(mut archive) = archive(image)? else { return Ok(()) };
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if !is_inside(&path) {
            return Err(io::Error::other(NotBundle::Outside { path: path.display().to_string() }));
        }
        match entry.header().entry_type() {
            EntryType::Directory => fs::create_dir_all(to.join(path))?,
            EntryType::Regular if !is_program(&path) => unpack_file(&mut entry, &to.join(path))?,
            _ => {}
        }
    }
    Ok(())
}

/// Permissions are the same for all: nobody runs these files or writes to them.
fn unpack_file(content: &mut impl Read, to: &Path) -> io::Result<()> {
    to.parent().map_or(Ok(()), fs::create_dir_all)?;
    // As tar has it, the last of two entries with the same path counts.
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(to)?;
    io::copy(content, &mut file).map(drop)
}

/// The archive, if the image is one.
fn archive(mut image: File) -> io::Result<Option<Archive<File>>> {
    let mut head = Vec::new();
    image.by_ref().take(512).read_to_end(&mut head)?;
    image.rewind()?;
    Ok(wasm::is_tar(&head).then(|| Archive::new(image)))
}
