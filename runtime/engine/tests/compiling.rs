//! Programs are compiled once, kept on disk, and never loaded from a damaged file.

#![allow(clippy::unwrap_used, reason = "it is all test code")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use carob_engine::{Engine, EngineConfig, Limits};
use common::{Setup, command, digest, setup};

/// The files of compiled programs under `dir`.
fn compiled(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { compiled(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_calls_compile_once() {
    let setup = setup();
    let wasm = wat::parse_str(command(1, "i32.const 0")).unwrap();
    let digest = digest(&wasm);
    let programs = futures::future::join_all((0..16).map(|_| setup.engine.compile(&digest, &wasm))).await;
    assert!(programs.iter().all(Result::is_ok));
    let files = compiled(setup.cache.path());
    assert_eq!(files.len(), 1, "{files:?}");
    let written = fs::metadata(&files[0]).unwrap().modified().unwrap();
    drop(programs);
    setup.engine.compile(&digest, &wasm).await.unwrap();
    assert_eq!(fs::metadata(&files[0]).unwrap().modified().unwrap(), written, "it was compiled again");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_engine_takes_the_program_from_the_disk() {
    let first = setup();
    let wasm = wat::parse_str(command(1, "i32.const 0")).unwrap();
    first.compile(&wasm).await;
    let mut config = EngineConfig::new(first.cache.path());
    config.instances = Some(64);
    let second = Engine::new(config).unwrap();
    // The bytes are not looked at when the digest is known.
    assert!(second.compile(&digest(&wasm), b"").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_program_is_compiled_again() {
    let Setup { engine, cache } = setup();
    let wasm = wat::parse_str(command(1, "i32.const 0")).unwrap();
    engine.compile(&digest(&wasm), &wasm).await.unwrap();
    let file = compiled(cache.path()).remove(0);
    let good = fs::read(&file).unwrap();
    for bad in [&good[..good.len() / 2], b"", b"nonsense"] {
        fs::remove_file(&file).unwrap();
        fs::write(&file, bad).unwrap();
        let program = engine.compile(&digest(&wasm), &wasm).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), good);
        let setup = Setup { engine: engine.clone(), cache: tempfile::tempdir().unwrap() };
        let (exit, _) = setup.run(&program, &[], Limits::default()).await;
        assert_eq!(exit.code, 0);
    }
}
