//! Programs that run inside a container, beside its own.

mod common;

use std::sync::Arc;

use carob_engine::{Container, Exec, ExecConfig, ExecError, Exit, Input, Limits, Program, Reason};
use common::{Printed, SPIN, command, ended, eventually, setup, setup_with};

const MIB: u64 = 1 << 20;

fn config(output: &Arc<Printed>, args: &[&str]) -> ExecConfig {
    ExecConfig {
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: vec![],
        input: Input::default(),
        output: output.clone(),
        terminal: false,
    }
}

fn exec(container: &Container, program: &Program, args: &[&str]) -> Result<Exec, ExecError> {
    container.exec(program, config(&Arc::default(), args))
}

async fn exited(exec: &Exec) -> Exit {
    tokio::time::timeout(std::time::Duration::from_secs(60), exec.exited()).await.expect("the program goes on")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_has_arguments_output_and_an_exit_code_of_its_own() {
    let setup = setup();
    let misbehave = setup.sample("misbehave").await;
    let counter = setup.sample("counter").await;
    let (container, printed) = setup.start(&misbehave, &["misbehave", "spin"], Limits::default());
    let output = Arc::new(Printed::default());
    let args = ["counter", "--count", "3", "--period-ms", "1", "--exit", "7"];
    let exec = container.exec(&counter, config(&output, &args)).unwrap();
    let exit = exited(&exec).await;
    assert_eq!((exit.code, exit.reason), (7, Reason::Error));
    assert_eq!(output.text(), "1\n2\n3\n");
    assert!(!printed.text().contains('2'), "{}", printed.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_the_container_and_cannot_begin_after_it() {
    let setup = setup();
    let spin = setup.wat(&command(1, SPIN)).await;
    let (container, _) = setup.start(&spin, &[], Limits::default());
    let running = exec(&container, &spin, &[]).unwrap();
    container.kill();
    assert_eq!(exited(&running).await.code, 137);
    assert!(matches!(exec(&container, &spin, &[]), Err(ExecError::Ended)));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_nobody_holds_it_and_gives_its_memory_and_place_back() {
    let setup = setup_with(|config| config.execs = 1);
    let spin = setup.wat(&command(16, SPIN)).await;
    let server = setup.sample("hello-http").await;
    let (container, _) = setup.start(&server, &[], Limits::default());
    let running = exec(&container, &spin, &[]).unwrap();
    eventually(|| container.usage().memory_bytes >= MIB).await;
    assert!(matches!(exec(&container, &spin, &[]), Err(ExecError::TooMany { limit: 1 })));
    drop(running);
    eventually(|| container.usage().memory_bytes == 0).await;
    eventually(|| exec(&container, &spin, &[]).is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shares_the_memory_limit_and_is_the_one_that_is_killed() {
    let setup = setup();
    let misbehave = setup.sample("misbehave").await;
    let spin = setup.wat(&command(16, SPIN)).await;
    let (container, _) = setup.start(&spin, &[], Limits { memory: Some(32 * MIB), ..Limits::default() });
    let eater = exec(&container, &misbehave, &["misbehave", "eat-memory"]).unwrap();
    let exit = exited(&eater).await;
    assert_eq!((exit.code, exit.reason), (137, Reason::OomKilled), "{exit:?}");
    let other = exec(&container, &misbehave, &["misbehave", "exit", "0"]).unwrap();
    assert_eq!(exited(&other).await.code, 0, "the container goes on");
    container.kill();
    assert_eq!(ended(&container).await.reason, Reason::Error);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_processor_time_is_the_containers() {
    let setup = setup();
    let spin = setup.wat(&command(1, SPIN)).await;
    let server = setup.sample("hello-http").await;
    let (container, _) = setup.start(&server, &[], Limits::default());
    let _running = exec(&container, &spin, &[]).unwrap();
    eventually(|| container.usage().cpu >= std::time::Duration::from_millis(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_no_program() {
    let setup = setup();
    let server = setup.sample("hello-http").await;
    let (container, _) = setup.start(&server, &[], Limits::default());
    assert!(matches!(exec(&container, &server, &[]), Err(ExecError::NotACommand)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_at_once_are_held_to_the_limit() {
    let setup = setup_with(|config| config.execs = 8);
    let spin = setup.wat(&command(16, SPIN)).await;
    let server = setup.sample("hello-http").await;
    let (container, _) = setup.start(&server, &[], Limits::default());
    let asked: Vec<_> = (0..100).map(|_| exec(&container, &spin, &[])).collect();
    assert_eq!(asked.iter().filter(|asked| asked.is_ok()).count(), 8);
    assert!(
        asked.iter().flat_map(|asked| asked.as_ref().err()).all(|error| matches!(error, ExecError::TooMany { .. }))
    );
    eventually(|| container.usage().memory_bytes >= 8 * MIB).await;
    assert_eq!(container.usage().memory_bytes, 8 * MIB);
    drop(asked);
    eventually(|| container.usage().memory_bytes == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reads_its_own_input_and_knows_a_terminal() {
    let setup = setup();
    let tools = setup.sample("tools").await;
    let server = setup.sample("hello-http").await;
    let (container, _) = setup.start(&server, &[], Limits::default());
    let (input, output) = (Input::open(), Arc::new(Printed::default()));
    let counting = ExecConfig { input: input.clone(), ..config(&output, &["wc", "-c"]) };
    let running = container.exec(&tools, counting).unwrap();
    for _ in 0..64 {
        input.write(vec![b'x'; 32 * 1024].into()).await.unwrap();
    }
    input.close();
    assert_eq!(exited(&running).await.code, 0);
    assert_eq!(output.text(), "2097152\n");
    for (terminal, code, text) in [(true, 0, "/dev/tty\n"), (false, 1, "not a tty\n")] {
        let output = Arc::new(Printed::default());
        let asking = ExecConfig { terminal, ..config(&output, &["tty"]) };
        assert_eq!(exited(&container.exec(&tools, asking).unwrap()).await.code, code);
        assert_eq!(output.text(), text);
    }
}
