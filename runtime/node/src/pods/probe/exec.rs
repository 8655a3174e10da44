//! Runs a program inside a container, and judges it by its exit code.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Answer;
use crate::pods::reach::Reach;
use crate::runtime::{ExecSpec, Exit, Input, Output, Stream};

/// How much of what the program prints is told.
const TOLD: usize = 10 * 1024;

pub(super) async fn ask(reach: &Reach, command: &[String], timeout: Duration) -> Answer {
    match tokio::time::timeout(timeout, exec(reach, command)).await {
        Ok(Ok((Exit { code: 0, .. }, _))) => Answer::Good,
        Ok(Ok((_, printed))) => Answer::Bad(printed),
        Ok(Err(error)) => Answer::Error(error),
        // What still runs ends with the future.
        Err(_) => Answer::Bad(format!("command timed out: {:?} timed out after {timeout:?}", command.join(" "))),
    }
}

/// How the program ended, and the beginning of what it printed. Dropping the future ends the program.
pub(in crate::pods) async fn exec(reach: &Reach, command: &[String]) -> Result<(Exit, String), String> {
    let printed = Arc::new(Printed::default());
    let spec = ExecSpec {
        command: command.to_vec(),
        env: Vec::new(),
        input: Input::default(),
        output: printed.clone(),
        terminal: false,
    };
    let process = reach.container.exec(spec).await.map_err(|error| error.to_string())?;
    let exit = process.exited().await;
    let text = String::from_utf8_lossy(&printed.0.lock()).into_owned();
    Ok((exit, text))
}

#[derive(Default)]
struct Printed(Mutex<Vec<u8>>);

impl Output for Printed {
    fn write(&self, _: Stream, bytes: &[u8]) {
        let mut held = self.0.lock();
        let room = TOLD.saturating_sub(held.len()).min(bytes.len());
        held.extend_from_slice(&bytes[..room]);
    }
}
