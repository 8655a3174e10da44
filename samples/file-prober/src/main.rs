//! Looks what its files are, and whether it can get at others.
//!
//! `file-prober list DIR... | show FILE... | write FILE TEXT | move FROM TO | watch FILE | open-all FILE | fill DIR |
//! read-only DIR | escape DIR`

mod escape;
mod read_only;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::process::exit;
use std::thread::sleep;
use std::time::Duration;

const KIB: usize = 1 << 10;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["list", ref dirs @ ..] => dirs.iter().try_for_each(|dir| list(dir)),
        ["show", ref files @ ..] => files.iter().try_for_each(|file| show(file)),
        ["write", file, text] => fs::write(file, text),
        ["move", from, to] => fs::rename(from, to),
        ["watch", file] => watch(file),
        ["open-all", file] => open_all(file),
        ["fill", dir] => fill(dir),
        ["read-only", dir] => tell(read_only::attempts(dir)),
        ["escape", dir] => tell(escape::attempts(dir)),
        _ => usage(),
    };
    if let Err(error) = done {
        eprintln!("{}: {error}", args.join(" "));
        exit(1);
    }
}

fn usage() -> ! {
    eprintln!(
        "usage: file-prober list DIR... | show FILE... | write FILE TEXT | move FROM TO | watch FILE | open-all FILE \
         | fill DIR | read-only DIR | escape DIR"
    );
    exit(2)
}

fn list(dir: &str) -> io::Result<()> {
    let entries = fs::read_dir(dir)?;
    let names = entries.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()));
    let mut names = names.collect::<io::Result<Vec<String>>>()?;
    names.sort();
    println!("{dir}: {}", names.join(" "));
    Ok(())
}

fn show(file: &str) -> io::Result<()> {
    println!("{file}: {}", fs::read_to_string(file)?);
    Ok(())
}

/// Prints a file whenever it has changed.
fn watch(file: &str) -> io::Result<()> {
    let mut before = None;
    loop {
        let now = fs::read_to_string(file).ok();
        if now != before {
            println!("{file}: {}", now.as_deref().unwrap_or("not there"));
            before = now;
        }
        sleep(Duration::from_millis(100));
    }
}

/// Opens a file as often as it may.
fn open_all(file: &str) -> io::Result<()> {
    let mut open = Vec::new();
    let error = loop {
        match File::open(file) {
            Ok(one) => open.push(one),
            Err(error) => break error,
        }
    };
    println!("{} open files, then: {}", open.len(), error.kind());
    open.pop();
    File::open(file).map(|_| println!("one closed, one opened"))
}

/// Writes as much as it may, and goes on.
fn fill(dir: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(format!("{dir}/fill"))?;
    let mut written = 0;
    let error = loop {
        match file.write_all(&[0xA5; 16 * KIB]) {
            Ok(()) => written += 16,
            Err(error) => break error,
        }
    };
    println!("wrote {written} KiB, then: {}", error.kind());
    loop {
        sleep(Duration::from_secs(1));
    }
}

/// The standard library has no other symbolic links for WASI that are stable.
#[expect(deprecated)]
pub(crate) fn symlink(target: &str, link: &str) -> io::Result<()> {
    fs::soft_link(target, link)
}

/// What was tried, and what came of it: `Err` is what should be.
pub(crate) type Attempt = (String, Result<String, String>);

/// Ends with failure if anything succeeded that must not.
fn tell(attempts: Vec<Attempt>) -> io::Result<()> {
    for (what, outcome) in &attempts {
        match outcome {
            Ok(got) => println!("SUCCEEDED {what}: {got}"),
            Err(why) => println!("refused {what}: {why}"),
        }
    }
    let succeeded = attempts.iter().filter(|(_, outcome)| outcome.is_ok()).count();
    println!("{} attempts, {succeeded} succeeded", attempts.len());
    if succeeded > 0 { exit(1) } else { Ok(()) }
}
