//! The sidecar of `cached-page`: every half second it puts a new page into the folder that both share.
//!
//! `page-cache FOLDER`

use std::fs;
use std::thread::sleep;
use std::time::Duration;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "/cache".to_owned());
    for number in 1.. {
        // Written beside, then renamed: who reads sees a whole page, old or new.
        fs::write(format!("{folder}/page.new"), format!("page {number}\n"))?;
        fs::rename(format!("{folder}/page.new"), format!("{folder}/page"))?;
        sleep(Duration::from_millis(500));
    }
    Ok(())
}
