//! Feeds a harness without a fuzzer: with random scripts for so many seconds, or with those in files.

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rand::RngExt;

const SECONDS: u64 = 10;
/// Bytes of a script: some hundred operations.
const LONGEST: usize = 2000;

/// The arguments of this process are seconds, or files.
pub(crate) fn feed(run: fn(&[u8])) -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = match arguments.as_slice() {
        [] => Some(SECONDS),
        [seconds] => seconds.parse().ok(),
        _ => None,
    };
    match seconds {
        Some(seconds) => random(run, Duration::from_secs(seconds)),
        None => arguments.iter().try_for_each(|file| of_file(run, file)),
    }
}

/// A script that breaks something is kept in a file of the working directory.
fn random(run: fn(&[u8]), time: Duration) -> Result<()> {
    let mut rng = rand::rng();
    let (begun, mut scripts) = (Instant::now(), 0);
    while begun.elapsed() < time {
        let script: Vec<u8> = (0..rng.random_range(0..LONGEST)).map(|_| rng.random()).collect();
        if catch_unwind(|| run(&script)).is_err() {
            std::fs::write("crash", &script).context("cannot write the script to the file crash")?;
            bail!("script number {scripts} broke something; it is in the file crash");
        }
        scripts += 1;
    }
    println!("{scripts} scripts in {} s, and everything held", time.as_secs());
    Ok(())
}

fn of_file(run: fn(&[u8]), file: &str) -> Result<()> {
    let script = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
    run(&script);
    println!("{file}: everything held");
    Ok(())
}
