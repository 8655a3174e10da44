//! A client that runs programs in a container without end.

use anyhow::{Result, bail, ensure};
use carob_engine::{Container, EngineConfig, Exec, ExecConfig, ExecError, Input, Program};

use super::heard::Heard;
use crate::http::neighbours::Neighbour;
use crate::http::{guest, ours};
use crate::table::{Row, Target};

const AT_ONCE: usize = 100;

pub(super) async fn run() -> Result<Vec<Row>> {
    let guests = guest::engine()?;
    let bound = EngineConfig::new(guests.cache.path()).execs;
    let neighbour = Neighbour::start(&guests).await?;
    let misbehave = guests.program("misbehave").await?;
    let bombed = ours::container(&guests.engine, &guests.program("hello-http").await?, &[])?;
    let heard = Heard::new();
    let started = bomb(&bombed, &misbehave, &heard)?;
    ensure!(!started.is_empty(), "nothing was run");
    // Each is counted once it runs, and none of them ever ends.
    heard.until("all that were started run", |text| spinning(text) >= started.len()).await?;
    let beside = neighbour.beside(1, "a neighbour's p99, beside 100 execs at once").await?;
    Ok(vec![
        Row {
            what: "programs that run at once in a container, of 100 execs",
            unit: "programs",
            ours: spinning(&heard.text()) as f64,
            floor_is: "what a container may run",
            floor: bound as f64,
            target: Target::Reaches(1.0),
        },
        beside,
    ])
}

fn bomb(container: &Container, program: &Program, heard: &std::sync::Arc<Heard>) -> Result<Vec<Exec>> {
    let mut started = Vec::new();
    for _ in 0..AT_ONCE {
        let config = ExecConfig {
            args: vec!["misbehave".into(), "spin".into()],
            env: vec![],
            input: Input::default(),
            output: heard.clone(),
            terminal: false,
        };
        match container.exec(program, config) {
            Ok(exec) => started.push(exec),
            Err(ExecError::TooMany { .. }) => {}
            Err(error) => bail!(error),
        }
    }
    Ok(started)
}

fn spinning(text: &str) -> usize {
    text.matches("spinning").count()
}
