//! Every way out of a folder that one can think of.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::Attempt;

/// Paths that lead out of a folder `d` that is written to before, by links that are planted in it.
const LINKS: [&str; 6] = ["/", "/etc", "..", "../..", "./../../../../../../etc", "inner/../.."];
/// What every machine has, or every process.
const TARGETS: [&str; 4] = ["etc/passwd", "etc/os-release", "proc/self/environ", "proc/version"];

pub(crate) fn attempts(dir: &str) -> Vec<Attempt> {
    let mut attempts = by_name(dir);
    attempts.extend(by_links(dir));
    attempts.extend(by_moving(dir));
    attempts.extend(by_racing(dir));
    attempts
}

fn read(path: &str) -> Attempt {
    let outcome = fs::read(path).map(|bytes| format!("{} bytes", bytes.len()));
    (format!("read {path}"), outcome.map_err(|error| error.kind().to_string()))
}

fn done(what: String, outcome: io::Result<()>) -> Attempt {
    (what, outcome.map(|()| "done".to_owned()).map_err(|error| error.kind().to_string()))
}

fn by_name(dir: &str) -> Vec<Attempt> {
    let ups = ["..", "../..", "./../../../../..", "not-there/../../.."];
    let relative = ups.iter().flat_map(|up| TARGETS.iter().map(move |target| read(&format!("{dir}/{up}/{target}"))));
    let absolute = TARGETS.iter().map(|target| read(&format!("/{target}")));
    let twice = TARGETS.iter().map(|target| read(&format!("{dir}//{target}")));
    let list = fs::read_dir(format!("{dir}/../..")).map(|_| ());
    relative.chain(absolute).chain(twice).chain([done(format!("list {dir}/../.."), list)]).collect()
}

/// Plants links, then goes through them: to read, to write, to make, to remove.
fn by_links(dir: &str) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let _ = fs::create_dir(format!("{dir}/inner"));
    for (n, to) in LINKS.iter().enumerate() {
        let link = format!("{dir}/link-{n}");
        // WASI refuses absolute targets here already; then nothing is there to go through.
        let _ = crate::symlink(to, &link);
        attempts.extend(TARGETS.iter().map(|target| read(&format!("{link}/{target}"))));
        attempts.push(done(format!("list {link} -> {to}"), fs::read_dir(&link).map(|_| ())));
        attempts.push(done(format!("make {link}/new"), fs::create_dir(format!("{link}/new"))));
        attempts.push(done(format!("write {link}/new"), fs::write(format!("{link}/new"), "x")));
        attempts.push(done(format!("remove {link}/etc/os-release"), fs::remove_file(format!("{link}/etc/os-release"))));
        let _ = fs::remove_file(&link);
    }
    let chain = format!("{dir}/chain");
    let _ = crate::symlink("inner/up", &chain);
    let _ = crate::symlink("../..", &format!("{dir}/inner/up"));
    attempts.extend(TARGETS.iter().map(|target| read(&format!("{chain}/{target}"))));
    attempts
}

/// Links and renames that begin or end outside, or at another mount.
fn by_moving(dir: &str) -> Vec<Attempt> {
    let own = format!("{dir}/own");
    let _ = fs::write(&own, "own");
    let mut attempts = Vec::new();
    for out in ["../own-moved", "../../own-moved", "/own-moved", "inner/../../own-moved"] {
        let to = if out.starts_with('/') { out.to_owned() } else { format!("{dir}/{out}") };
        attempts.push(done(format!("rename {own} to {to}"), fs::rename(&own, &to)));
        attempts.push(done(format!("link {own} to {to}"), fs::hard_link(&own, &to)));
    }
    for from in ["../../../../../etc/passwd", "/etc/passwd"] {
        let from = if from.starts_with('/') { from.to_owned() } else { format!("{dir}/{from}") };
        attempts.push(done(format!("link {from} here"), fs::hard_link(&from, format!("{dir}/stolen"))));
        attempts.push(done(format!("rename {from} here"), fs::rename(&from, format!("{dir}/stolen"))));
    }
    attempts
}

/// Renames folders and links under a path that is being walked: a host that looks at the parts of a path one by one is led
/// out by this, sooner or later. There are no threads here; what else can write to the folder may swap `race` meanwhile.
fn by_racing(dir: &str) -> Vec<Attempt> {
    let (deep, swap) = (format!("{dir}/deep"), format!("{dir}/swap"));
    let _ = fs::create_dir_all(format!("{deep}/a/b/c"));
    let _ = crate::symlink("../../../../..", &swap);
    let mut escaped = Err("nothing".to_owned());
    for _ in 0..2000 {
        let held = File::open(format!("{deep}/a"));
        let _ = fs::rename(&deep, format!("{dir}/away"));
        let _ = fs::rename(&swap, &deep);
        for target in TARGETS {
            if let Ok(bytes) = fs::read(Path::new(&deep).join("a/b/c/../../..").join(target)) {
                escaped = Ok(format!("{} bytes of {target}", bytes.len()));
            }
            if let Ok(bytes) = fs::read(format!("{dir}/race/{target}")) {
                escaped = Ok(format!("{} bytes of {target} through race", bytes.len()));
            }
        }
        let _ = fs::rename(&deep, &swap);
        let _ = fs::rename(format!("{dir}/away"), &deep);
        drop(held);
    }
    vec![("swap folders and links under a walk".to_owned(), escaped)]
}
