//! sha256sum: digests of files.

use std::io::{BufRead, Read};

use sha2::{Digest, Sha256};

use crate::line;
use crate::options::{Failure, Spec, each, failed};
use crate::text::open;

pub(crate) fn sha256sum(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: sha256sum [-c] [FILE...]\n\nPrints the SHA-256 of files, or of the input.\n\n  -c  check those that the files list",
        short: "cb",
        long: &[("check", 'c')],
    };
    let options = SPEC.parse(args)?;
    let act = if options.has('c') { check } else { print };
    each("sha256sum", &options.inputs(), act)
}

fn print(file: &str) -> Result<(), Failure> {
    line!("{}  {file}", digest(file)?);
    Ok(())
}

fn check(list: &str) -> Result<(), Failure> {
    let mut wrong = 0;
    for text in open(list)?.lines() {
        let text = text.map_err(|error| failed(list, error))?;
        let Some((expected, file)) = text.split_once("  ") else { return Err(failed(list, "no list of digests")) };
        let right = digest(file).is_ok_and(|found| found == expected);
        line!("{file}: {}", if right { "OK" } else { "FAILED" });
        wrong += usize::from(!right);
    }
    if wrong > 0 { Err(failed(list, format_args!("{wrong} files are not what they were"))) } else { Ok(()) }
}

fn digest(file: &str) -> Result<String, Failure> {
    let (mut input, mut hash) = (open(file)?, Sha256::new());
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match input.read(&mut buffer).map_err(|error| failed(file, error))? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hash.update(&buffer[..read]),
        }
    }
}
