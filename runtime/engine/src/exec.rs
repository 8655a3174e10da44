use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use crate::command::Command;
use crate::composition::Bound;
use crate::container::{Exit, Process, StartError, State};
use crate::input::Input;
use crate::output::Output;
use crate::program::{Kind, Program};

/// What a further program of a container is run with. All else it has from the container: files, network, limits.
#[derive(Clone)]
pub struct ExecConfig {
    /// What it sees as its arguments; the first is its own name by custom.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// What it reads.
    pub input: Input,
    /// Takes what it prints.
    pub output: Arc<dyn Output>,
    /// Whether it is told that input and output are a terminal.
    pub terminal: bool,
}

/// Why a further program was not run.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The container has ended.
    #[error("the container has ended")]
    Ended,
    /// As many run as may.
    #[error("the container runs {limit} programs beside its own already, and may run no more")]
    TooMany {
        /// How many may run.
        limit: usize,
    },
    /// A server or library has no `wasi:cli/run`.
    #[error("the component is no command: only one that exports wasi:cli/run can be run inside a container")]
    NotACommand,
    /// It could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A program that runs in a container beside its own. Dropping it kills the program.
pub struct Exec {
    exit: watch::Receiver<Option<Exit>>,
    _killed: DropGuard,
}

impl Exec {
    pub(crate) fn start(state: &Arc<State>, program: &Program, config: ExecConfig) -> Result<Exec, ExecError> {
        if program.kind() != Kind::Command {
            return Err(ExecError::NotACommand);
        }
        if state.killed.is_cancelled() {
            return Err(ExecError::Ended);
        }
        let limit = state.engine.execs;
        let place = state.execs.clone().try_acquire_owned().map_err(|_| ExecError::TooMany { limit })?;
        let links = state.config.admit(&program.inner)?;
        let command = Command::new(state, program)?;
        let (ended, exit) = watch::channel(None);
        let (state, killed) = (state.clone(), state.killed.child_token());
        let guard = killed.clone().drop_guard();
        state.engine.guests.handle().clone().spawn(async move {
            let exit = command.run(&state, &config.process(&links), &killed).await;
            drop(place);
            // Nobody may be left who asks.
            let _ = ended.send(Some(exit));
        });
        Ok(Exec { exit, _killed: guard })
    }

    /// Ends when the program has, with how; at once if it already has.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + use<> {
        let mut exit = self.exit.clone();
        async move {
            match exit.wait_for(Option::is_some).await.map(|ended| ended.clone()) {
                Ok(Some(exit)) => exit,
                // The guests' threads have ended.
                _ => Exit::by_force("killed"),
            }
        }
    }
}

impl ExecConfig {
    fn process<'a>(&'a self, links: &'a Arc<[Bound]>) -> Process<'a> {
        let (args, env, input, output) = (&self.args, &self.env, &self.input, &self.output);
        Process { args, env, input, output, terminal: self.terminal, links }
    }
}
