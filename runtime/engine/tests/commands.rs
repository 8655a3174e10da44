//! Containers that run to their end.

mod common;

use std::time::Duration;

use carob_engine::{CompileError, Kind, Limits, Reason, ResizeError, StartError};
use common::{SPIN, command, ended, eventually, setup, setup_with};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_say_how_it_ended() {
    let setup = setup();
    let misbehave = setup.sample("misbehave").await;
    assert_eq!(misbehave.kind(), Kind::Command);
    let cases: [(&[&str], i32, Reason, &str); 5] = [
        (&["misbehave", "exit", "0"], 0, Reason::Completed, ""),
        (&["misbehave", "exit", "7"], 7, Reason::Error, ""),
        (&["misbehave", "nonsense"], 1, Reason::Error, ""),
        (&["misbehave", "trap"], 134, Reason::Error, "wasm trap: wasm `unreachable` instruction executed\n    0: "),
        (&["misbehave", "panic"], 134, Reason::Error, "unreachable"),
    ];
    for (args, code, reason, message) in cases {
        let (exit, printed) = setup.run(&misbehave, args, Limits::default()).await;
        assert_eq!((exit.code, exit.reason), (code, reason), "{args:?}: {exit:?} {printed}");
        assert!(exit.message.contains(message), "{args:?}: {exit:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_run_is_exit_code_1() {
    let setup = setup();
    let program = setup.wat(&command(1, "i32.const 1")).await;
    let (exit, _) = setup.run(&program, &[], Limits::default()).await;
    assert_eq!((exit.code, exit.reason), (1, Reason::Error));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_past_the_limit_is_oom_killed() {
    for pooling in [true, false] {
        let setup = setup_with(|config| config.pooling = pooling);
        let misbehave = setup.sample("misbehave").await;
        let limits = Limits { memory: Some(48 * MIB), ..Limits::default() };
        let (exit, printed) = setup.run(&misbehave, &["misbehave", "eat-memory"], limits).await;
        assert_eq!((exit.code, exit.reason), (137, Reason::OomKilled), "pooling {pooling}: {exit:?}");
        assert!(exit.message.contains("50331648"), "{exit:?}");
        assert!(printed.contains("ate 32 MiB") && !printed.contains("ate 48 MiB"), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_count_as_memory() {
    // Grows its table by 1,000 elements, of 8 bytes each, until that is refused; a trap ends it before.
    let grow =
        "(loop $again (br_if $again (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))))
        (i32.const 1)";
    let text = command(1, grow).replacen("(memory 1)", "(memory 1) (table $table 1 funcref)", 1);
    for pooling in [true, false] {
        let setup = setup_with(|config| config.pooling = pooling);
        let program = setup.wat(&text).await;
        let limits = Limits { memory: Some(65536 + 100_000), ..Limits::default() };
        let (container, _) = setup.start(&program, &[], limits);
        let exit = ended(&container).await;
        assert_eq!((exit.code, exit.reason), (137, Reason::OomKilled), "pooling {pooling}: {exit:?}");
        assert!(exit.message.contains("8000 more wanted"), "{exit:?}");
        assert_eq!(container.usage().memory_peak_bytes, 65536 + 8 + 12 * 8000, "pooling {pooling}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_holds_for_a_guest_counts_as_memory() {
    // Makes sets of HTTP fields for ever and keeps them: its own memory does not grow.
    let hoard = r#"(component
        (import "wasi:http/types@0.2.0" (instance $types
            (export "fields" (type $fields (sub resource)))
            (export "[constructor]fields" (func (result (own $fields))))))
        (core func $new (canon lower (func $types "[constructor]fields")))
        (core module $module
            (import "" "new" (func $new (result i32)))
            (memory 1)
            (func (export "run") (result i32) (loop $again (drop (call $new)) (br $again)) unreachable))
        (core instance $core (instantiate $module (with "" (instance (export "new" (func $new))))))
        (func $run (result (result)) (canon lift (core func $core "run")))
        (instance $cli (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $cli)))"#;
    let setup = setup();
    let program = setup.wat(hoard).await;
    let limits = Limits { memory: Some(2 * MIB), ..Limits::default() };
    let (container, _) = setup.start(&program, &[], limits);
    let exit = ended(&container).await;
    assert_eq!((exit.code, exit.reason), (137, Reason::OomKilled), "{exit:?}");
    assert!(container.usage().memory_peak_bytes <= 2 * MIB, "{:?}", container.usage());
    while container.usage().memory_bytes > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Without a limit it comes to the end of its table, by a trap.
    let exit = setup.run(&program, &[], Limits::default()).await.0;
    assert_eq!((exit.code, exit.reason), (134, Reason::Error), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_change_while_it_runs() {
    let setup = setup();
    let misbehave = setup.sample("misbehave").await;
    let limits = Limits { memory: Some(48 * MIB), cpu_millis: Some(1), ..Limits::default() };
    let (container, printed) = setup.start(&misbehave, &["misbehave", "eat-memory"], limits);
    // With a thousandth of a core it would be here for hours.
    let wider = Limits { memory: Some(80 * MIB), cpu_millis: None, cpu_weight: 100 };
    container.resize(wider).unwrap();
    printed.contains("ate 16 MiB").await;
    let exit = ended(&container).await;
    assert_eq!(exit.reason, Reason::OomKilled, "{exit:?}");
    assert!(printed.text().contains("ate 64 MiB"), "{}", printed.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_limit_below_what_is_held_is_refused() {
    let setup = setup();
    let program = setup.wat(&command(16, SPIN)).await;
    let (container, _) = setup.start(&program, &[], Limits::default());
    eventually(|| container.usage().memory_bytes > 0).await;
    let refused = container.resize(Limits { memory: Some(65536), ..Limits::default() }).unwrap_err();
    assert_eq!(refused, ResizeError::BelowUse { held: 16 * 65536, limit: 65536 });
    container.resize(Limits { memory: Some(16 * 65536), ..Limits::default() }).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_all_guests_together_is_bounded() {
    let setup = setup_with(|config| config.memory = Some(40 * MIB));
    let misbehave = setup.sample("misbehave").await;
    let (exit, _) = setup.run(&misbehave, &["misbehave", "eat-memory"], Limits::default()).await;
    assert_eq!(exit.reason, Reason::OomKilled);
    assert!(exit.message.contains("the node's"), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_metered_and_memory_given_back() {
    let setup = setup();
    let program = setup.wat(&command(16, SPIN)).await;
    let (container, _) = setup.start(&program, &[], Limits::default());
    eventually(|| container.usage().cpu >= Duration::from_millis(50)).await;
    assert_eq!(container.usage().memory_bytes, 16 * 65536);
    container.kill();
    let exit = ended(&container).await;
    assert_eq!((exit.code, exit.reason), (137, Reason::Error));
    eventually(|| container.usage().memory_bytes == 0).await;
    assert_eq!(container.exited().await, exit, "it can be asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cpu_limit_holds_a_spinner_back() {
    let setup = setup();
    let program = setup.wat(&command(1, SPIN)).await;
    let limits = Limits { cpu_millis: Some(100), ..Limits::default() };
    let (container, _) = setup.start(&program, &[], limits);
    let begun = std::time::Instant::now();
    eventually(|| container.usage().cpu >= Duration::from_millis(60)).await;
    // 4 ms of burst, then a tenth of the time: 60 ms cannot be had in less than 550 ms, on any machine, but for one tick.
    let least = Duration::from_millis(500);
    assert!(begun.elapsed() > least, "{:?} of CPU after {:?}", container.usage().cpu, begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn terminating_waits_for_the_grace_period_and_then_kills() {
    let setup = setup();
    let program = setup.wat(&command(1, SPIN)).await;
    let (container, _) = setup.start(&program, &[], Limits::default());
    container.terminate(Duration::from_millis(50));
    let exit = ended(&container).await;
    assert_eq!((exit.code, exit.reason), (137, Reason::Error));
    assert!(exit.message.contains("grace period"), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_container_is_killed() {
    let setup = setup();
    let program = setup.wat(&command(1, SPIN)).await;
    let (container, _) = setup.start(&program, &[], Limits::default());
    let exited = container.exited();
    drop(container);
    let exit = tokio::time::timeout(Duration::from_secs(60), exited).await.unwrap();
    assert_eq!(exit.code, 137);
}

#[tokio::test(flavor = "multi_thread")]
async fn spinners_on_every_thread_do_not_stop_a_neighbour() {
    let setup = setup_with(|config| config.threads = Some(2));
    let spinner = setup.wat(&command(1, SPIN)).await;
    let spinners: Vec<_> = (0..6).map(|_| setup.start(&spinner, &[], Limits::default()).0).collect();
    let counter = setup.sample("misbehave").await;
    for _ in 0..5 {
        let (exit, _) = setup.run(&counter, &["misbehave", "exit", "3"], Limits::default()).await;
        assert_eq!(exit.code, 3);
    }
    assert!(spinners.iter().all(|spinner| spinner.usage().cpu > Duration::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_module_runs_with_the_adapter() {
    let setup = setup();
    let program = setup
        .wat(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (memory (export "memory") 1)
                (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\n")
                (func (export "_start")
                    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))
                    (call $exit (i32.const 5))))"#,
        )
        .await;
    let (exit, printed) = setup.run(&program, &[], Limits::default()).await;
    assert_eq!(printed, "hello\n");
    assert_eq!((exit.code, exit.reason), (5, Reason::Error));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_import_is_named() {
    let setup = setup();
    let text = command(1, "i32.const 0").replacen("(component", r#"(component (import "my:own/thing" (func))"#, 1);
    let program = setup.wat(&text).await;
    let config = common::config(Default::default());
    let Err(StartError::Import { message }) = setup.engine.start(&program, config) else { panic!("it was started") };
    assert!(message.contains("my:own/thing"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_is_refused_with_what_was_found() {
    let setup = setup();
    let cases = [
        ("not wasm".as_bytes().to_vec(), "not WebAssembly"),
        (vec![], "not WebAssembly"),
        (wat::parse_str("(component)").unwrap(), "found no exports"),
        (wat::parse_str(r#"(component (instance $i) (export "my:own/thing" (instance $i)))"#).unwrap(), "my:own/thing"),
        (wat::parse_str("(module)").unwrap(), "cannot run as a WASI 0.1 command"),
        (b"\0asm\x0d\0\x01\0garbage".to_vec(), "not valid"),
    ];
    for (wasm, expected) in cases {
        let error: CompileError = setup.engine.compile(&common::digest(&wasm), &wasm).await.err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
