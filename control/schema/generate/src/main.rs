//! Writes `control/schema/src/tables/{types,descriptions}.txt` from `k8s-openapi`'s schemas and the merge keys beside this
//! file. Run it with `make schema-tables` after an update of `k8s-openapi`, and look at the difference.

mod kinds;
mod merge;
mod tables;

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = merge::Rules::read(here)?;
    let collected = kinds::collect();
    let tables = tables::write(&collected, &rules);
    let target = here.join("../src/tables");
    fs::create_dir_all(&target)?;
    fs::write(target.join("types.txt"), tables.types)?;
    fs::write(target.join("descriptions.txt"), tables.descriptions)
}
