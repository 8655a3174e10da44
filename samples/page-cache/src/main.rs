//! The sidecar of `cached-page`: keeps one page in the folder that both share, and is asked for it on their loopback.
//!
//! `page-cache FOLDER ADDRESS`
//!
//! A connection is a look-up, answered with one line. A page that is too old is made anew before the answer: a miss.

use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// For how long a page is good.
const FRESH: Duration = Duration::from_secs(1);

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().unwrap_or_else(|| "/cache".to_owned());
    let address = args.next().unwrap_or_else(|| "127.0.0.1:7070".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let mut cache = Cache { folder: folder.into(), made: None, hits: 0, misses: 0 };
    loop {
        let (mut connection, peer) = listener.accept()?;
        cache.look_up()?;
        if let Err(error) = writeln!(connection, "hits {} misses {}", cache.hits, cache.misses) {
            println!("{peer}: {error}");
        }
    }
}

struct Cache {
    folder: PathBuf,
    made: Option<Instant>,
    hits: u64,
    misses: u64,
}

impl Cache {
    fn look_up(&mut self) -> io::Result<()> {
        if self.made.is_some_and(|made| made.elapsed() < FRESH) {
            self.hits += 1;
            return Ok(());
        }
        self.misses += 1;
        self.made = Some(Instant::now());
        self.make()
    }

    /// Written beside, then renamed: who reads sees a whole page, old or new.
    fn make(&self) -> io::Result<()> {
        let new = self.folder.join("page.new");
        fs::write(&new, format!("page {}\n", self.misses))?;
        fs::rename(new, self.folder.join("page"))
    }
}
