//! Unpacks and lists an archive.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::header::{BLOCK, Header};
use crate::line;
use crate::new_file::{self, NewFile};
use crate::options::{Failure, Options};
use crate::output;

/// A name, or the records of POSIX, that is longer than this is no name.
const LONGEST: u64 = 1 << 20;

pub(super) fn list(options: &Options, input: impl Read) -> Result<u8, Failure> {
    let mut archive = Archive { input };
    while let Some(header) = archive.next()? {
        if wanted(options, &header.path) {
            if options.has('v') {
                line!("{} {:>10} {}", char::from(header.kind), header.size, header.path);
            } else {
                line!("{}", header.path);
            }
        }
        archive.skip(header.size)?;
    }
    Ok(0)
}

pub(super) fn unpack(options: &Options, input: impl Read) -> Result<u8, Failure> {
    let base = Path::new(options.value('C').unwrap_or("."));
    if !base.is_dir() {
        return Err(Failure::Failed(format!("{}: is no folder", base.display())));
    }
    let strip = options.number('S')?.unwrap_or(0);
    let (mut archive, mut code) = (Archive { input }, 0);
    while let Some(header) = archive.next()? {
        let path = match inside(&header.path, strip) {
            Some(path) if wanted(options, &header.path) => path,
            Some(_) => {
                archive.skip(header.size)?;
                continue;
            }
            None => {
                eprintln!("tar: {}: leads out of the folder, and is left out", header.path);
                code = 1;
                archive.skip(header.size)?;
                continue;
            }
        };
        if options.has('v') {
            eprintln!("{}", header.path);
        }
        let mut content = Content { input: &mut archive.input, left: header.size };
        let done = one(options, base, &path, &header, &mut content);
        let left = content.left;
        archive.skip_rest(header.size, left)?;
        if let Err(error) = done {
            eprintln!("tar: {}: {error}", header.path);
            code = 1;
        }
    }
    Ok(code)
}

fn one(options: &Options, base: &Path, path: &Path, header: &Header, content: &mut impl Read) -> io::Result<()> {
    if options.has('O') {
        return if header.kind == b'0' { print(content) } else { Ok(()) };
    }
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    let target = base.join(path);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    match header.kind {
        b'5' => fs::create_dir_all(&target),
        b'2' => link(&header.link, &target),
        b'1' => inside(&header.link, 0).map_or_else(
            || Err(io::Error::other("names a file outside")),
            |other| new_file::copy(&base.join(other), &target),
        ),
        b'0' | b'7' => file(&target, header, content, options.has('m')),
        kind => Err(io::Error::other(format!("things of type {:?} are not known here", char::from(kind)))),
    }
}

fn file(target: &Path, header: &Header, content: &mut impl Read, touch: bool) -> io::Result<()> {
    // What stands there, a link for one, is not to be written through.
    if fs::symlink_metadata(target).is_ok_and(|meta| meta.is_symlink()) {
        fs::remove_file(target)?;
    }
    let mut file = NewFile::create(target)?;
    let copied = io::copy(content, &mut file)?;
    if copied < header.size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.flush()?;
    if touch { Ok(()) } else { file.file().set_modified(UNIX_EPOCH + Duration::from_secs(header.modified)) }
}

/// The only way to make a link that `std` has for every target.
#[allow(deprecated)]
fn link(to: &str, target: &Path) -> io::Result<()> {
    if fs::symlink_metadata(target).is_ok() {
        fs::remove_file(target)?;
    }
    fs::soft_link(to, target)
}

fn print(content: &mut impl Read) -> io::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(()),
            read => output::bytes(&buffer[..read]),
        }
    }
}

/// A path below the folder that is unpacked to; nothing if it leads out of it.
fn inside(path: &str, strip: usize) -> Option<PathBuf> {
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.into_iter().skip(strip).collect())
}

/// Whether a file was named, or lies in a folder that was; all are if none was.
fn wanted(options: &Options, path: &str) -> bool {
    let path = Path::new(path.trim_start_matches("./"));
    let named = |name: &String| path.starts_with(name.trim_start_matches("./"));
    options.rest.is_empty() || options.rest.iter().any(named)
}

struct Archive<R> {
    input: R,
}

impl<R: Read> Archive<R> {
    /// The head of the next file, with what the heads before it say of it.
    fn next(&mut self) -> Result<Option<Header>, Failure> {
        let (mut path, mut link, mut records) = (None, None, Vec::new());
        while let Some(mut header) = self.head()? {
            match header.kind {
                b'L' => path = Some(self.name(header.size)?),
                b'K' => link = Some(self.name(header.size)?),
                b'x' => records = self.content(header.size)?,
                b'g' => self.skip(header.size)?,
                _ => {
                    header.path = path.unwrap_or(header.path);
                    header.link = link.unwrap_or(header.link);
                    header.extend(&records);
                    return Ok(Some(header));
                }
            }
        }
        Ok(None)
    }

    fn head(&mut self) -> Result<Option<Header>, Failure> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(&mut block[filled..]).map_err(broken)? {
                // An archive may lack its empty blocks at the end.
                0 if filled == 0 => return Ok(None),
                0 => return Err(broken(io::ErrorKind::UnexpectedEof.into())),
                read => filled += read,
            }
        }
        Header::decode(&block)
    }

    fn name(&mut self, size: u64) -> Result<String, Failure> {
        let bytes = self.content(size)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
    }

    fn content(&mut self, size: u64) -> Result<Vec<u8>, Failure> {
        if size > LONGEST {
            return Err(Failure::Failed("a name in the archive is too long".to_owned()));
        }
        let mut bytes = vec![0; size as usize];
        self.input.read_exact(&mut bytes).map_err(broken)?;
        self.skip_rest(size, 0)?;
        Ok(bytes)
    }

    fn skip(&mut self, size: u64) -> Result<(), Failure> {
        self.skip_rest(size, size)
    }

    /// Goes to the next head, with `left` bytes of the file and what fills up its last block.
    fn skip_rest(&mut self, size: u64, left: u64) -> Result<(), Failure> {
        let rest = left + size.next_multiple_of(BLOCK as u64) - size;
        let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink()).map_err(broken)?;
        if skipped < rest { Err(broken(io::ErrorKind::UnexpectedEof.into())) } else { Ok(()) }
    }
}

fn broken(error: io::Error) -> Failure {
    Failure::Failed(format!("the archive cannot be read to its end: {error}"))
}

/// The content of one file of the archive.
struct Content<'a, R> {
    input: &'a mut R,
    left: u64,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.input.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}
