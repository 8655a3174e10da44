//! Makes an archive.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::Path;

use super::header::{BLOCK, Header};
use crate::list::seconds;
use crate::options::{Failure, Options, failed};

pub(super) fn pack(options: &Options, output: impl Write) -> Result<u8, Failure> {
    let mut archive = Archive { output, verbose: options.has('v'), code: 0 };
    let base = options.value('C').unwrap_or_default();
    for name in &options.rest {
        let path = Path::new(base).join(name);
        archive.add(&path, name).map_err(|error| Failure::Failed(error.to_string()))?;
    }
    archive.end().map_err(|error| failed("the end", error))
}

struct Archive<W> {
    output: W,
    verbose: bool,
    code: u8,
}

impl<W: Write> Archive<W> {
    /// Adds a file, or a folder with all that is in it. What cannot be read is told and left out.
    fn add(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let meta = match fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(error) => return self.complain(path, &error),
        };
        if self.verbose {
            eprintln!("{name}");
        }
        if meta.is_symlink() {
            self.link(path, name, &meta)
        } else if meta.is_dir() {
            self.folder(path, name, &meta)
        } else {
            self.file(path, name, &meta)
        }
    }

    fn head(&mut self, name: &str, kind: u8, size: u64, link: &str, meta: &Metadata) -> io::Result<()> {
        // An archive's paths begin where it is unpacked.
        let path = name.trim_start_matches('/').to_owned();
        let path = if path.is_empty() { "./".to_owned() } else { path };
        let modified = seconds(meta.modified());
        self.output.write_all(&Header { path, link: link.to_owned(), kind, size, modified }.encode())
    }

    fn folder(&mut self, path: &Path, name: &str, meta: &Metadata) -> io::Result<()> {
        let name = name.trim_end_matches('/');
        self.head(&format!("{name}/"), b'5', 0, "", meta)?;
        let mut entries = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => return self.complain(path, &error),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let child = format!("{name}/{}", entry.file_name().to_string_lossy());
            self.add(&entry.path(), &child)?;
        }
        Ok(())
    }

    fn link(&mut self, path: &Path, name: &str, meta: &Metadata) -> io::Result<()> {
        match fs::read_link(path) {
            Ok(target) => self.head(name, b'2', 0, &target.to_string_lossy(), meta),
            Err(error) => self.complain(path, &error),
        }
    }

    /// A file that grows or shrinks meanwhile is as long as it was at the beginning.
    fn file(&mut self, path: &Path, name: &str, meta: &Metadata) -> io::Result<()> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return self.complain(path, &error),
        };
        self.head(name, b'0', meta.len(), "", meta)?;
        let copied = io::copy(&mut file.take(meta.len()), &mut self.output)?;
        if copied < meta.len() {
            self.complain(path, &io::Error::other("it has become shorter, and is filled up with zeros"))?;
        }
        let missing = meta.len().next_multiple_of(BLOCK as u64) - copied;
        io::copy(&mut io::repeat(0).take(missing), &mut self.output).map(drop)
    }

    fn complain(&mut self, path: &Path, error: &io::Error) -> io::Result<()> {
        eprintln!("tar: {}: {error}", path.display());
        self.code = 1;
        Ok(())
    }

    fn end(mut self) -> io::Result<u8> {
        self.output.write_all(&[0; 2 * BLOCK])?;
        self.output.flush()?;
        Ok(self.code)
    }
}
