use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt};

use super::writer::Rotation;
use super::{LogHub, LogOptions, layout, stream};
use crate::runtime::{Output, Stream};

const SMALL: Rotation = Rotation { max_bytes: 2_000, max_files: 3 };

fn log_in(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("pod/web/0.log")
}

async fn read(hub: &LogHub, path: &Path, options: LogOptions) -> String {
    let chunks: Vec<_> = stream(hub, path.into(), options).await.unwrap().try_collect().await.unwrap();
    String::from_utf8(chunks.concat()).unwrap()
}

fn print_numbers(hub: &LogHub, path: &Path, range: std::ops::Range<u32>) {
    let log = hub.create(path.into(), SMALL).unwrap();
    for n in range {
        log.write(Stream::Stdout, format!("line {n}\n").as_bytes());
    }
}

#[tokio::test]
async fn options_choose_and_shape_the_lines() {
    let (dir, hub) = (tempfile::tempdir().unwrap(), LogHub::default());
    let path = log_in(&dir);
    let log = hub.create(path.clone(), Rotation::default()).unwrap();
    log.write(Stream::Stdout, b"one\ntw");
    log.write(Stream::Stderr, b"warning\n");
    log.write(Stream::Stdout, b"o\nthree");
    drop(log);

    let with = |change: fn(&mut LogOptions)| {
        let mut options = LogOptions::default();
        change(&mut options);
        options
    };
    for (options, expected) in [
        (with(|_| {}), "one\nwarning\ntwo\nthree\n"),
        (with(|o| o.tail = Some(2)), "two\nthree\n"),
        (with(|o| o.tail = Some(0)), ""),
        (with(|o| o.tail = Some(99)), "one\nwarning\ntwo\nthree\n"),
        (with(|o| o.limit = Some(6)), "one\nwa"),
        (with(|o| o.stream = Some(Stream::Stderr)), "warning\n"),
        (with(|o| o.since = Some(jiff::Timestamp::MAX)), ""),
        (with(|o| o.since = Some(jiff::Timestamp::UNIX_EPOCH)), "one\nwarning\ntwo\nthree\n"),
    ] {
        assert_eq!(read(&hub, &path, options.clone()).await, expected, "{options:?}");
    }
    let stamped = read(&hub, &path, LogOptions { timestamps: true, tail: Some(1), ..Default::default() }).await;
    let (time, text) = stamped.split_once(' ').unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok());
    assert_eq!(text, "three\n");
}

#[tokio::test]
async fn rotation_bounds_the_files_and_reading_crosses_them() {
    let (dir, hub) = (tempfile::tempdir().unwrap(), LogHub::default());
    let path = log_in(&dir);
    print_numbers(&hub, &path, 0..200);

    let files = layout::files(&path);
    assert_eq!(files.len(), SMALL.max_files);
    assert!(files.iter().all(|file| std::fs::metadata(file).unwrap().len() <= SMALL.max_bytes));

    let all = read(&hub, &path, LogOptions::default()).await;
    let numbers: Vec<u32> = all.lines().map(|line| line[5..].parse().unwrap()).collect();
    let first = numbers[0];
    assert!(first > 0, "the oldest lines are gone");
    assert_eq!(numbers, (first..200).collect::<Vec<_>>());

    let tail = read(&hub, &path, LogOptions { tail: Some(60), ..Default::default() }).await;
    assert_eq!(tail.lines().next(), Some("line 140"));
    assert_eq!(tail.lines().count(), 60);
}

#[tokio::test]
async fn following_crosses_rotations_and_ends_with_the_writer() {
    let (dir, hub) = (tempfile::tempdir().unwrap(), LogHub::default());
    let path = log_in(&dir);
    let log = hub.create(path.clone(), SMALL).unwrap();
    log.write(Stream::Stdout, b"line 0\n");
    let follow = LogOptions { follow: true, ..Default::default() };
    let mut following = std::pin::pin!(stream(&hub, path, follow).await.unwrap());

    let mut text = following.next().await.unwrap().unwrap().to_vec();
    for n in 1..200 {
        log.write(Stream::Stdout, format!("line {n}\n").as_bytes());
        text.extend(following.next().await.unwrap().unwrap());
    }
    drop(log);
    assert!(following.next().await.is_none());
    let expected: String = (0..200).map(|n| format!("line {n}\n")).collect();
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[tokio::test]
async fn what_cannot_be_written_is_counted_and_later_lines_are_whole() {
    let (dir, hub) = (tempfile::tempdir().unwrap(), LogHub::default());
    let path = log_in(&dir);
    let log = hub.create(path.clone(), Rotation::default()).unwrap();
    // A folder in the file's place is a write that fails, as on a full disk.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    log.write(Stream::Stdout, b"lost\n");
    std::fs::remove_dir(&path).unwrap();
    log.write(Stream::Stdout, b"kept\n");
    drop(log);

    let text = read(&hub, &path, LogOptions::default()).await;
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("carob: ") && lines[0].contains("lost"), "{text}");
    assert_eq!(lines[1..], ["kept"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noisy_writer_is_followed_without_an_error_and_in_order() {
    let (dir, hub) = (tempfile::tempdir().unwrap(), LogHub::default());
    let path = log_in(&dir);
    let log = hub.create(path.clone(), Rotation { max_bytes: 20_000, max_files: 5 }).unwrap();
    let follow = LogOptions { follow: true, ..Default::default() };
    let mut following = std::pin::pin!(stream(&hub, path, follow).await.unwrap());
    let writer = std::thread::spawn(move || {
        for n in 0..100_000 {
            log.write(Stream::Stdout, format!("{n}\n").as_bytes());
        }
    });
    let mut last = None;
    while let Some(chunk) = following.next().await {
        for line in String::from_utf8(chunk.unwrap().to_vec()).unwrap().lines() {
            let number: u32 = line.parse().unwrap();
            assert!(last < Some(number), "{number} after {last:?}");
            last = Some(number);
        }
    }
    writer.join().unwrap();
    assert_eq!(last, Some(99_999));
}
