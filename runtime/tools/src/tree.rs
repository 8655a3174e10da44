//! cp, mv, rm: files and folders with all that is in them.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::files::some;
use crate::new_file;
use crate::options::{Failure, Spec, each, failed, file_name};

pub(crate) fn rm(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: rm [-rf] FILE...\n\nRemoves files.\n\n  -r  folders too, with all that is in them\n  -f  without a complaint about what is not there",
        short: "rRf",
        long: &[("recursive", 'r'), ("force", 'f')],
    };
    let options = SPEC.parse(args)?;
    let (tree, force) = (options.has('r') || options.has('R'), options.has('f'));
    if force && options.rest.is_empty() {
        return Ok(0);
    }
    each("rm", &some(&options.rest)?, |path| match remove(Path::new(path), tree) {
        Err(error) if force && error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| failed(path, error)),
    })
}

fn remove(path: &Path, tree: bool) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_file(path);
    }
    if !tree {
        return Err(io::Error::other("is a folder (rm -r removes folders)"));
    }
    for entry in fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()? {
        remove(&entry.path(), true)?;
    }
    fs::remove_dir(path)
}

pub(crate) fn cp(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: cp [-r] SOURCE... TARGET\n\nCopies files to a file or into a folder.\n\n  -r  folders too",
        short: "rRfpa",
        long: &[("recursive", 'r'), ("archive", 'a')],
    };
    let options = SPEC.parse(args)?;
    let tree = ['r', 'R', 'a'].iter().any(|letter| options.has(*letter));
    to_target("cp", &options.rest, |from, to| copy(from, to, tree))
}

pub(crate) fn mv(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: mv SOURCE... TARGET\n\nMoves files and folders to a new name or into a folder.",
        short: "f",
        long: &[("force", 'f')],
    };
    to_target("mv", &SPEC.parse(args)?.rest, |from, to| match fs::rename(from, to) {
        // Volumes are file systems of their own.
        Err(error) if matches!(error.kind(), ErrorKind::CrossesDevices) => {
            copy(from, to, true)?;
            remove(from, true)
        }
        moved => moved,
    })
}

fn to_target(tool: &str, files: &[String], act: impl Fn(&Path, &Path) -> io::Result<()>) -> Result<u8, Failure> {
    let [sources @ .., target] = files else { return Err(Failure::Usage("no file is named".to_owned())) };
    let into = Path::new(target).is_dir();
    if sources.is_empty() || (sources.len() > 1 && !into) {
        return Err(Failure::Usage(format!("{target}: name what goes where; many go only into a folder")));
    }
    each(tool, sources, |source| {
        let to = if into { Path::new(target).join(file_name(source)) } else { PathBuf::from(target) };
        act(Path::new(source), &to).map_err(|error| failed(format_args!("{source} to {}", to.display()), error))
    })
}

fn copy(from: &Path, to: &Path, tree: bool) -> io::Result<()> {
    if !fs::metadata(from)?.is_dir() {
        return new_file::copy(from, to);
    }
    if !tree {
        return Err(io::Error::other("is a folder (cp -r copies folders)"));
    }
    if to.starts_with(from) {
        return Err(io::Error::other("a folder cannot be copied into itself"));
    }
    match fs::create_dir(to) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for entry in fs::read_dir(from)?.collect::<io::Result<Vec<_>>>()? {
        copy(&entry.path(), &to.join(entry.file_name()), true)?;
    }
    Ok(())
}
