//! `file-prober` by WASI 0.3 alone: no standard library stands between it and the host.
//!
//! `file-prober-p3 DIR TEXT` lists, reads and writes a preopened folder, then tries to leave it and to fill it.

use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip3::wit_stream;

struct Prober;

wasip3::cli::command::export!(Prober);

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
const CHUNK: usize = 64 << 10;

impl wasip3::exports::cli::run::Guest for Prober {
    async fn run() -> Result<(), ()> {
        let args: Vec<String> = std::env::args().collect();
        let [_, dir, text] = &args[..] else {
            eprintln!("usage: file-prober-p3 DIR TEXT");
            return Err(());
        };
        let found = get_directories().into_iter().find(|(_, name)| name == dir);
        let Some((folder, _)) = found else {
            eprintln!("{dir} is not preopened");
            return Err(());
        };
        probe(&folder, text).await.map_err(|error| eprintln!("failed: {error:?}"))
    }
}

async fn probe(folder: &Descriptor, text: &str) -> Result<(), ErrorCode> {
    let file = folder.open_at(PathFlags::empty(), "p3".into(), OpenFlags::CREATE, READ | WRITE).await?;
    write(&file, text.as_bytes().to_vec(), 0).await?;
    append(&file, b"!".to_vec()).await?;
    println!("read back: {}", String::from_utf8_lossy(&read(&file).await?));
    println!("entries: {}", entries(folder).await?.join(" "));
    half_list(folder);
    escape(folder).await;
    let (written, error) = fill(&file).await;
    println!("filled {} KiB, then: {error:?}", written / 1024);
    Ok(())
}

async fn write(file: &Descriptor, bytes: Vec<u8>, offset: u64) -> Result<(), ErrorCode> {
    let (mut data, reader) = wit_stream::new();
    let written = file.write_via_stream(reader, offset);
    let _ = data.write_all(bytes).await;
    drop(data);
    written.await
}

async fn append(file: &Descriptor, bytes: Vec<u8>) -> Result<(), ErrorCode> {
    let (mut data, reader) = wit_stream::new();
    let written = file.append_via_stream(reader);
    let _ = data.write_all(bytes).await;
    drop(data);
    written.await
}

async fn read(file: &Descriptor) -> Result<Vec<u8>, ErrorCode> {
    let (data, ended) = file.read_via_stream(0);
    let bytes = data.collect().await;
    ended.await.map(|()| bytes)
}

async fn entries(folder: &Descriptor) -> Result<Vec<String>, ErrorCode> {
    let (entries, ended) = folder.read_directory();
    let mut names: Vec<String> = entries.collect().await.into_iter().map(|entry| entry.name).collect();
    names.sort();
    ended.await.map(|()| names)
}

/// Begins many listings and reads none: a host that keeps a thread for each would run out of them.
fn half_list(folder: &Descriptor) {
    for _ in 0..2000 {
        std::mem::forget(folder.read_directory());
    }
}

async fn escape(folder: &Descriptor) {
    let _ = folder.symlink_at("../..".into(), "up".into()).await;
    let _ = folder.symlink_at("/".into(), "root".into()).await;
    let mut escaped = 0;
    let paths = ["..", "../../etc/passwd", "/etc/passwd", "up/etc/passwd", "root/etc/passwd", "up", "root"];
    for path in paths {
        match folder.open_at(PathFlags::SYMLINK_FOLLOW, path.into(), OpenFlags::empty(), READ).await {
            Ok(_) => {
                escaped += 1;
                println!("ESCAPED by {path}");
            }
            Err(error) => println!("refused {path}: {error:?}"),
        }
    }
    println!("{} ways, {escaped} led out", paths.len());
}

/// Appends until that is refused.
async fn fill(file: &Descriptor) -> (usize, ErrorCode) {
    let mut written = 0;
    loop {
        if let Err(error) = append(file, vec![0xA5; CHUNK]).await {
            return (written, error);
        }
        written += CHUNK;
    }
}
