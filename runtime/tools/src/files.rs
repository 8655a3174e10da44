//! mkdir, readlink, touch: single files and folders.

use std::fs::{self, File};
use std::time::SystemTime;

use crate::line;
use crate::options::{Failure, Spec, each, failed};

pub(crate) fn mkdir(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: mkdir [-p] FOLDER...\n\nMakes folders.\n\n  -p  with those above them, and without a complaint if they are there",
        short: "p",
        long: &[("parents", 'p')],
    };
    let options = SPEC.parse(args)?;
    each("mkdir", &some(&options.rest)?, |path| {
        let made = if options.has('p') { fs::create_dir_all(path) } else { fs::create_dir(path) };
        made.map_err(|error| failed(path, error))
    })
}

pub(crate) fn readlink(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec { help: "usage: readlink LINK...\n\nPrints where links lead.", short: "", long: &[] };
    each("readlink", &some(&SPEC.parse(args)?.rest)?, |path| {
        let target = fs::read_link(path).map_err(|error| failed(path, error))?;
        line!("{}", target.display());
        Ok(())
    })
}

pub(crate) fn touch(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: touch [-c] FILE...\n\nMakes files, or renews the time of those that are there.\n\n  -c  make none",
        short: "c",
        long: &[("no-create", 'c')],
    };
    let options = SPEC.parse(args)?;
    each("touch", &some(&options.rest)?, |path| {
        let opened = File::options().create(!options.has('c')).write(true).truncate(false).open(path);
        match opened.and_then(|file| file.set_modified(SystemTime::now())) {
            Err(error) if options.has('c') && error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            done => done.map_err(|error| failed(path, error)),
        }
    })
}

/// The files that were named; there have to be some.
pub(crate) fn some(files: &[String]) -> Result<Vec<String>, Failure> {
    if files.is_empty() { Err(Failure::Usage("no file is named".to_owned())) } else { Ok(files.to_vec()) }
}
