//! A bundle: one program and the files that go with it, in a plain tar archive.
//!
//! The program is the one `.wasm` file at the top of the archive; everything else is the image's files. The whole archive is
//! the image: its digest names program and files together.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use tar::{Archive, EntryType};

use super::wasm::{self, NotWasm};

/// Why an archive is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum NotBundle {
    /// It cannot be read to its end.
    #[error("the bundle is damaged, or no tar archive")]
    Damaged(#[from] io::Error),
    /// It holds something that could lead out of the image's files.
    #[error("the bundle holds {path:?}; only files and folders below its top are taken, no links and no \"..\"")]
    Outside {
        /// The entry's path.
        path: String,
    },
    /// Which file shall run is not clear.
    #[error("the bundle holds {count} .wasm files at its top; exactly one, the program, was expected")]
    Programs {
        /// How many there are.
        count: usize,
    },
    /// Its program is none.
    #[error("the bundle's program cannot run")]
    Program(#[source] NotWasm),
}

/// The program of a bundle, after a look at every entry.
pub(super) fn program(archive: &[u8]) -> Result<Vec<u8>, NotBundle> {
    let mut programs = Vec::new();
    for entry in Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if !is_inside(&path) || !matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Directory) {
            return Err(NotBundle::Outside { path: path.display().to_string() });
        }
        if is_program(&path) {
            let mut program = Vec::new();
            entry.read_to_end(&mut program)?;
            programs.push(program);
        }
    }
    match <[Vec<u8>; 1]>::try_from(programs) {
        Ok([program]) => wasm::check(&program).map(|()| program).map_err(NotBundle::Program),
        Err(programs) => Err(NotBundle::Programs { count: programs.len() }),
    }
}

/// The name of a bundle's program: its file's name, without the ending.
pub(super) fn program_name(archive: &mut File) -> io::Result<String> {
    for entry in Archive::new(archive).entries_with_seek()? {
        let entry = entry?;
        let path = entry.path()?;
        if is_program(&path) {
            return Ok(path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    Err(io::Error::other("the bundle holds no program"))
}

/// The file of a bundle that `name` means as a program, if there is one.
pub(super) fn carried(archive: &mut File, name: &str) -> io::Result<Option<Vec<u8>>> {
    let wanted = [name.to_owned(), format!("{name}.wasm"), format!("bin/{name}.wasm")].map(|path| parts(path.as_ref()));
    for entry in Archive::new(archive).entries_with_seek()? {
        let mut entry = entry?;
        let path = parts(&entry.path()?);
        if entry.header().entry_type() == EntryType::Regular && wanted.contains(&path) {
            let mut program = Vec::new();
            entry.read_to_end(&mut program)?;
            return Ok(Some(program));
        }
    }
    Ok(None)
}

/// A path as it stands in the image, whether it was written as `a/b`, `./a/b` or `/a/b`; never empty for a file.
fn parts(path: &Path) -> Vec<OsString> {
    let own = path.components().filter(|part| !matches!(part, Component::CurDir | Component::RootDir));
    own.map(|part| part.as_os_str().to_owned()).collect()
}

pub(super) fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

pub(super) fn is_program(path: &Path) -> bool {
    let depth = path.components().filter(|part| matches!(part, Component::Normal(_))).count();
    depth == 1 && path.extension().is_some_and(|extension| extension == "wasm")
}

#[cfg(test)]
mod tests {
    use tar::{Builder, Header};

    use super::*;

    const PROGRAM: &[u8] = b"\0asm\x0d\0\x01\0";

    fn bundle(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = Builder::new(Vec::new());
        for (path, content) in entries {
            let mut header = Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, path, *content).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn link() -> Vec<u8> {
        let mut archive = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, "site/passwd", "/etc/passwd").unwrap();
        archive.into_inner().unwrap()
    }

    #[test]
    fn the_program_is_the_one_at_the_top() {
        let archive =
            bundle(&[("./site/index.html", b"<p>"), ("./shop.wasm", PROGRAM), ("./site/extra.wasm", b"data")]);
        assert_eq!(program(&archive).unwrap(), PROGRAM);
    }

    #[test]
    fn a_bundle_carries_programs_beside_its_own() {
        let (own, tool) = (PROGRAM, b"tool");
        let archive =
            bundle(&[("./shop.wasm", own), ("./bin/check.wasm", tool), ("data/list.wasm", tool), ("raw", tool)]);
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &archive).unwrap();
        let mut carried = |name: &str| {
            std::io::Seek::rewind(&mut file).unwrap();
            super::carried(&mut file, name).unwrap()
        };
        for (name, expected) in [
            ("shop", Some(own)),
            ("check", Some(tool.as_slice())),
            ("/bin/check.wasm", Some(tool)),
            ("./data/list", Some(tool)),
            ("raw", Some(tool)),
            ("list", None),
            ("../raw", None),
            ("", None),
        ] {
            assert_eq!(carried(name).as_deref(), expected, "{name}");
        }
        std::io::Seek::rewind(&mut file).unwrap();
        assert_eq!(program_name(&mut file).unwrap(), "shop");
    }

    #[test]
    fn what_is_unclear_or_leads_out_is_refused() {
        let refusal = |archive: &[u8]| program(archive).unwrap_err();
        assert!(matches!(refusal(&bundle(&[("index.html", b"<p>")])), NotBundle::Programs { count: 0 }));
        let two = bundle(&[("a.wasm", PROGRAM), ("b.wasm", PROGRAM)]);
        assert!(matches!(refusal(&two), NotBundle::Programs { count: 2 }));
        assert!(matches!(refusal(&bundle(&[("a.wasm", b"text")])), NotBundle::Program(NotWasm::Other)));
        assert!(matches!(refusal(&link()), NotBundle::Outside { .. }));
        let whole = bundle(&[("a.wasm", PROGRAM)]);
        assert!(matches!(refusal(&whole[..515]), NotBundle::Damaged(_)));
    }
}
