//! What guests see of files, and that they see no others.

#![allow(clippy::unwrap_used, reason = "it is all test code")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use carob_engine::{Exit, Folder, Mount, Quota};
use common::{Setup, call, ended, get, read, setup, setup_with};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// A folder to mount, beside one that is not.
struct Host {
    dir: TempDir,
}

impl Host {
    fn new() -> Host {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("volume")).unwrap();
        fs::write(dir.path().join("secret"), "outside").unwrap();
        Host { dir }
    }

    fn volume(&self) -> std::path::PathBuf {
        self.dir.path().join("volume")
    }

    fn mount(&self, at: &str) -> Mount {
        Mount::folder(Folder::at(self.volume()), at)
    }
}

async fn run(setup: &Setup, sample: &str, mounts: Vec<Mount>, args: &[&str]) -> (Exit, String) {
    let program = setup.sample(sample).await;
    let output = Arc::new(common::Printed::default());
    let mut config = common::config(output.clone());
    config.args = [sample].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
    config.mounts = mounts.into();
    let container = setup.engine.start(&program, config).unwrap();
    let exit = ended(&container).await;
    (exit, output.text())
}

/// Everything below a folder, with its content.
fn tree(dir: &Path) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let content = entry.file_type().unwrap().is_file().then(|| fs::read_to_string(&path).unwrap_or_default());
        found.push((path.display().to_string(), content));
        if entry.file_type().unwrap().is_dir() {
            found.extend(tree(&path));
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leads_out_of_a_mount_not_even_links_that_the_host_has_planted_and_swaps() {
    let (setup, host) = (setup(), Host::new());
    let volume = host.volume();
    symlink("/", volume.join("root")).unwrap();
    symlink("/etc/hostname", volume.join("hostname")).unwrap();
    symlink("../secret", volume.join("sibling")).unwrap();
    symlink("/proc/self/root", volume.join("magic")).unwrap();
    fs::create_dir(volume.join("host-folder")).unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let (volume, done) = (volume.clone(), done.clone());
        move || {
            let (race, folder, link) = (volume.join("race"), volume.join("host-folder"), volume.join("host-link"));
            symlink("/", &link).unwrap();
            while !done.load(Ordering::Relaxed) {
                fs::rename(&folder, &race).unwrap();
                fs::rename(&race, &folder).unwrap();
                fs::rename(&link, &race).unwrap();
                fs::rename(&race, &link).unwrap();
            }
        }
    });
    let (exit, printed) = run(&setup, "file-prober", vec![host.mount("/data")], &["escape", "/data"]).await;
    done.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    assert_eq!(exit.code, 0, "{printed}");
    assert!(printed.contains(" attempts, 0 succeeded"), "{printed}");

    for planted in ["root/etc/hostname", "hostname", "sibling", "magic/etc/hostname"] {
        let (exit, printed) =
            run(&setup, "file-prober", vec![host.mount("/data")], &["show", &format!("/data/{planted}")]).await;
        assert_eq!(exit.code, 1, "{planted}: {printed}");
    }
    assert_eq!(fs::read_to_string(host.dir.path().join("secret")).unwrap(), "outside");
    let beside: Vec<_> = fs::read_dir(host.dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(beside.len(), 2, "{beside:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_refused_in_a_folder_of_the_hosts_and_nobody_waits_for_it() {
    let (setup, host) = (setup(), Host::new());
    for fifo in ["fifo", "p3"] {
        mknodat(CWD, host.volume().join(fifo), FileType::Fifo, Mode::from(0o600), 0).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(host.volume().join("socket")).unwrap();
    symlink("fifo", host.volume().join("link")).unwrap();
    let mounts = || {
        let file = Mount::file(Folder::at(host.volume()), "fifo", "/pipe");
        vec![host.mount("/data").foreign(true), file.foreign(true)]
    };
    for path in ["/data/fifo", "/data/link", "/data/socket", "/pipe"] {
        for args in [&["show", path][..], &["write", path, "x"]] {
            let (exit, printed) = run(&setup, "file-prober", mounts(), args).await;
            assert_eq!(exit.code, 1, "{args:?}: {printed}");
        }
    }
    let (exit, printed) = run(&setup, "file-prober", mounts(), &["list", "/data"]).await;
    assert!(exit.code == 0 && printed.contains("fifo"), "{printed}");
    let (exit, printed) = run(&setup, "file-prober-p3", mounts(), &["/data", "hello"]).await;
    assert!(exit.code == 1 && printed.contains("ErrorCode::Unsupported"), "{printed}");
    let (exit, printed) = run(&setup, "file-prober", mounts(), &["write", "/data/file", "x"]).await;
    assert_eq!(exit.code, 0, "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_mount_refuses_every_change() {
    let (setup, host) = (setup(), Host::new());
    fs::write(host.volume().join("file"), "kept").unwrap();
    let before = tree(host.dir.path());
    let mount = host.mount("/data").read_only(true);
    let (exit, printed) = run(&setup, "file-prober", vec![mount], &["read-only", "/data"]).await;
    assert_eq!(exit.code, 0, "{printed}");
    assert!(printed.contains("11 attempts, 0 succeeded"), "{printed}");
    assert_eq!(tree(host.dir.path()), before);

    let (exit, printed) = run(&setup, "file-prober", vec![host.mount("/data")], &["read-only", "/data"]).await;
    assert_eq!(exit.code, 1, "the same does succeed where it may: {printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_file_is_read_and_written_and_nothing_beside_it_is_seen() {
    let (setup, host) = (setup(), Host::new());
    let mount = || vec![Mount::file(Folder::at(host.dir.path()), "secret", "/etc/app.conf")];
    for (args, code, expected) in [
        (&["show", "/etc/app.conf"][..], 0, "/etc/app.conf: outside"),
        (&["write", "/etc/app.conf", "changed"], 0, ""),
        (&["show", "/etc/app.conf"], 0, "changed"),
        (&["show", "/etc/app.conf/../volume"], 1, "not a directory"),
        (&["list", "/etc/app.conf"], 1, "not a directory"),
        (&["move", "/etc/app.conf", "/etc/app.conf/x"], 1, "busy"),
        (&["list", "/etc"], 1, "list /etc: "),
    ] {
        let (exit, printed) = run(&setup, "file-prober", mount(), args).await;
        assert_eq!(exit.code, code, "{args:?}: {printed}");
        assert!(printed.to_lowercase().contains(expected), "{args:?}: {printed}");
    }
    assert_eq!(fs::read_to_string(host.dir.path().join("secret")).unwrap(), "changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_renamed_from_one_mount_to_another() {
    let (setup, host) = (setup(), Host::new());
    fs::create_dir(host.dir.path().join("other")).unwrap();
    fs::write(host.volume().join("file"), "x").unwrap();
    let mounts = || vec![host.mount("/data"), Mount::folder(Folder::at(host.dir.path().join("other")), "/other")];
    let (exit, printed) = run(&setup, "file-prober", mounts(), &["move", "/data/file", "/other/file"]).await;
    assert_eq!(exit.code, 1, "{printed}");
    let (exit, printed) = run(&setup, "file-prober", mounts(), &["move", "/data/file", "/data/renamed"]).await;
    assert_eq!(exit.code, 0, "{printed}");
    assert!(host.volume().join("renamed").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn open_files_are_bounded_and_closed_ones_forgotten() {
    let (setup, host) = (setup_with(|config| config.open_files = 50), Host::new());
    fs::write(host.volume().join("file"), "x").unwrap();
    for _ in 0..3 {
        let (exit, printed) = run(&setup, "file-prober", vec![host.mount("/data")], &["open-all", "/data/file"]).await;
        assert_eq!(exit.code, 0, "{printed}");
        assert!(printed.starts_with("50 open files, then: "), "{printed}");
        assert!(printed.contains("one closed, one opened"), "{printed}");
    }
}

/// So many bytes, and no more.
struct Left(AtomicU64);

impl Quota for Left {
    fn take(&self, bytes: u64) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_version_3_reads_writes_and_is_held_the_same() {
    let (setup, host) = (setup(), Host::new());
    let quota = Arc::new(Left(AtomicU64::new(1 << 20)));
    let (exit, printed) =
        run(&setup, "file-prober-p3", vec![host.mount("/data").quota(quota)], &["/data", "hello"]).await;
    assert_eq!(exit.code, 0, "{printed}");
    assert!(printed.contains("read back: hello!\nentries: p3\n"), "{printed}");
    assert!(printed.contains("7 ways, 0 led out"), "{printed}");
    assert!(printed.contains("filled 960 KiB, then: ErrorCode::InsufficientSpace"), "{printed}");
    let size = fs::metadata(host.volume().join("p3")).unwrap().len();
    assert!(size <= 1 << 20, "{size}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_share_what_the_first_has_opened() {
    let (setup, host) = (setup(), Host::new());
    fs::write(host.volume().join("page"), "page 1\n").unwrap();
    let program = setup.sample("cached-page").await;
    let mut config = common::config(Default::default());
    config.mounts = [host.mount("/site").read_only(true)].into();
    let container = setup.engine.start(&program, config).unwrap();
    let service = container.http().unwrap();
    let page = async || read(call(&service, get("/page")).await.unwrap()).await;
    assert_eq!(page().await, (200, "page 1\n".to_owned()));
    fs::rename(host.volume(), host.dir.path().join("elsewhere")).unwrap();
    fs::write(host.dir.path().join("elsewhere/page"), "page 2\n").unwrap();
    assert_eq!(page().await, (200, "page 2\n".to_owned()), "a new instance, the folder that was opened before");
    assert_eq!(read(call(&service, get("/other")).await.unwrap()).await.0, 404);
}
