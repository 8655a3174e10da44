//! du, ls, stat: what is known of files.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::files::some;
use crate::line;
use crate::options::{Failure, Options, Spec, each, failed, file_name};
use crate::time::Moment;

pub(crate) fn ls(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: ls [-aAdlhrRtS1F] [FILE...]\n\nLists files, and what is in folders.\n\n  -a  hidden ones too\n  \
               -d  folders themselves, not what is in them\n  -l  with kind, size and time: WASI knows no owners and no permissions\n  \
               -h  sizes for people\n  -r  backwards\n  -R  folders in folders too\n  -t  the newest first\n  -S  the largest first\n  \
               -F  mark folders by /",
        short: "aAdlhrRtS1F",
        long: &[("all", 'a'), ("recursive", 'R'), ("human-readable", 'h'), ("directory", 'd'), ("reverse", 'r')],
    };
    let options = SPEC.parse(args)?;
    let names = if options.rest.is_empty() { vec![".".to_owned()] } else { options.rest.clone() };
    let mut shown = 0;
    each("ls", &names, |name| {
        let meta = fs::symlink_metadata(name).map_err(|error| failed(name, error))?;
        let folder = if meta.is_symlink() { Path::new(name).is_dir() } else { meta.is_dir() };
        if !folder || options.has('d') {
            show(&options, name, &meta, Path::new(name));
        } else {
            list(&options, name, names.len() > 1, &mut shown)?;
        }
        Ok(())
    })
}

struct Entry {
    name: String,
    meta: Metadata,
}

fn list(options: &Options, folder: &str, titled: bool, shown: &mut usize) -> Result<(), Failure> {
    let entries = entries(options, folder).map_err(|error| failed(folder, error))?;
    if titled || options.has('R') {
        line!("{}{folder}:", if *shown > 0 { "\n" } else { "" });
    }
    *shown += 1;
    for Entry { name, meta } in &entries {
        show(options, name, meta, &Path::new(folder).join(name));
    }
    for Entry { name, meta } in &entries {
        if options.has('R') && meta.is_dir() && name != "." && name != ".." {
            list(options, &format!("{}/{name}", folder.trim_end_matches('/')), true, shown)?;
        }
    }
    Ok(())
}

fn entries(options: &Options, folder: &str) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') || options.has('a') || options.has('A') {
            // What was removed meanwhile is not there.
            if let Ok(meta) = fs::symlink_metadata(entry.path()) {
                entries.push(Entry { name, meta });
            }
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    if options.has('t') {
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.meta.modified().ok()));
    } else if options.has('S') {
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.meta.len()));
    }
    if options.has('r') {
        entries.reverse();
    }
    Ok(entries)
}

fn show(options: &Options, name: &str, meta: &Metadata, path: &Path) {
    let mark = if options.has('F') && meta.is_dir() { "/" } else { "" };
    if !options.has('l') {
        line!("{name}{mark}");
        return;
    }
    let size = if options.has('h') { human(meta.len()) } else { meta.len().to_string() };
    let target = meta.is_symlink().then(|| fs::read_link(path).ok()).flatten();
    let target = target.map(|target| format!(" -> {}", target.display())).unwrap_or_default();
    line!("{} {size:>10} {} {name}{mark}{target}", kind(meta), time(meta, "%F %H:%M"));
}

fn kind(meta: &Metadata) -> char {
    match () {
        () if meta.is_dir() => 'd',
        () if meta.is_symlink() => 'l',
        () if meta.is_file() => '-',
        () => '?',
    }
}

fn time(meta: &Metadata, format: &str) -> String {
    let time = meta.modified().unwrap_or(UNIX_EPOCH);
    Moment::of(time).format(format).unwrap_or_default()
}

fn human(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["", "K", "M", "G"] {
        if size < 1024.0 {
            return if unit.is_empty() || size >= 10.0 {
                format!("{size:.0}{unit}")
            } else {
                format!("{size:.1}{unit}")
            };
        }
        size /= 1024.0;
    }
    format!("{size:.1}T")
}

pub(crate) fn stat(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: stat FILE...\n\nPrints what is known of files.",
        short: "L",
        long: &[("dereference", 'L')],
    };
    let options = SPEC.parse(args)?;
    each("stat", &some(&options.rest)?, |path| {
        let meta = if options.has('L') { fs::metadata(path) } else { fs::symlink_metadata(path) };
        let meta = meta.map_err(|error| failed(path, error))?;
        let kind = match kind(&meta) {
            'd' => "folder",
            'l' => "link",
            '-' => "file",
            _ => "something else",
        };
        line!("  File: {path}\n  Size: {}\n  Type: {kind}\nModify: {} UTC", meta.len(), time(&meta, "%F %T.%N"));
        Ok(())
    })
}

pub(crate) fn du(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: du [-sahb] [PATH...]\n\nSums up the sizes of the files in folders, in KiB.\n\n  -s  only the sums of what is named\n  \
               -a  files too\n  -b  in bytes\n  -h  for people",
        short: "sahbk",
        long: &[("summarize", 's'), ("all", 'a'), ("human-readable", 'h'), ("bytes", 'b')],
    };
    let options = SPEC.parse(args)?;
    let paths = if options.rest.is_empty() { vec![".".to_owned()] } else { options.rest.clone() };
    each("du", &paths, |path| sum(&options, Path::new(path), true).map(drop).map_err(|error| failed(path, error)))
}

fn sum(options: &Options, path: &Path, named: bool) -> io::Result<u64> {
    let meta = fs::symlink_metadata(path)?;
    let mut bytes = if meta.is_dir() { 0 } else { meta.len() };
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            bytes += sum(options, &entry?.path(), false)?;
        }
    }
    if named || (!options.has('s') && (meta.is_dir() || options.has('a'))) {
        let size = match () {
            () if options.has('h') => human(bytes),
            () if options.has('b') => bytes.to_string(),
            () => bytes.div_ceil(1024).to_string(),
        };
        line!("{size}\t{}", path.display());
    }
    Ok(bytes)
}

/// Seconds since 1970, as archives have it.
pub(crate) fn seconds(time: io::Result<SystemTime>) -> u64 {
    time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs())
}

/// The name that a path ends with, for a file that is named by it.
pub(crate) fn shown_name(path: &Path) -> String {
    file_name(&path.to_string_lossy()).to_owned()
}
