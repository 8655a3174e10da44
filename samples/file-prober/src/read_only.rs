//! Every way to change a folder.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io;
use std::time::SystemTime;

use crate::Attempt;

/// Tries each on the first file of the folder, or on a name that is not there.
pub(crate) fn attempts(dir: &str) -> Vec<Attempt> {
    let first = fs::read_dir(dir).ok().and_then(|mut entries| entries.next()?.ok()).map(|entry| entry.path());
    let file = first.unwrap_or_else(|| format!("{dir}/file").into());
    let new = format!("{dir}/probe-new");
    let attempt = |what: &str, done: io::Result<()>| {
        (format!("{what} in {dir}"), done.map(|()| "done".to_owned()).map_err(|error| error.kind().to_string()))
    };
    let touched = || File::open(&file)?.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH));
    vec![
        attempt("create", File::create_new(&new).map(drop)),
        attempt("make a folder", fs::create_dir(&new)),
        attempt("open to write", OpenOptions::new().write(true).open(&file).map(drop)),
        attempt("open to append", OpenOptions::new().append(true).open(&file).map(drop)),
        attempt("truncate", OpenOptions::new().write(true).truncate(true).open(&file).map(drop)),
        attempt("overwrite", fs::write(&file, "changed")),
        attempt("rename", fs::rename(&file, &new)),
        attempt("link", fs::hard_link(&file, &new)),
        attempt("symbolic link", crate::symlink("target", &new)),
        attempt("set times", touched()),
        attempt("remove", fs::remove_file(&file)),
    ]
}
