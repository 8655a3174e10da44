use tokio_util::sync::CancellationToken;
use wasmtime::Store;
use wasmtime_wasi::{I32Exit, p2, p3};

use crate::container::{Exit, Process, StartError, State};
use crate::host::{self, Host};
use crate::memory::Exceeded;
use crate::program::{Entry, Program};
use crate::trap;

/// A component that exports `wasi:cli/run`, ready to be instantiated.
pub(crate) struct Command {
    program: Pre,
    /// What its instance takes of the node's pool.
    slots: u32,
}

enum Pre {
    P2(p2::bindings::CommandPre<Host>),
    P3(p3::bindings::CommandPre<Host>),
}

impl Command {
    pub(crate) fn new(state: &State, program: &Program) -> Result<Command, StartError> {
        let program = &program.inner;
        let imports = program.linked(&state.engine.linker)?;
        let slots = program.slots().min(state.engine.pool.capacity);
        let program = match program.entry {
            Entry::CommandP3 => Pre::P3(p3::bindings::CommandPre::new(imports)?),
            _ => Pre::P2(p2::bindings::CommandPre::new(imports)?),
        };
        Ok(Command { program, slots })
    }

    /// Runs the program to its end, or until `killed`.
    pub(crate) async fn run(&self, state: &State, process: &Process<'_>, killed: &CancellationToken) -> Exit {
        let run = state.cpu.meter(&state.engine.ticker, self.call(state, process));
        match killed.run_until_cancelled(run).await {
            Some(ended) => exit(ended),
            None => Exit::by_force("killed"),
        }
    }

    async fn call(&self, state: &State, process: &Process<'_>) -> wasmtime::Result<Result<(), ()>> {
        let _slots = state.engine.pool.slots.acquire_many(self.slots).await?;
        let mut store = host::store(state, process, || {});
        let running = store.data().running();
        let ended = self.run_in(&mut store).await;
        if ended.as_ref().map_or_else(|error| error.is::<I32Exit>(), |_| true) {
            running.finished();
        }
        ended
    }

    async fn run_in(&self, store: &mut Store<Host>) -> wasmtime::Result<Result<(), ()>> {
        match &self.program {
            Pre::P2(command) => {
                let command = command.instantiate_async(&mut *store).await?;
                command.wasi_cli_run().call_run(store).await
            }
            Pre::P3(command) => {
                let command = command.instantiate_async(&mut *store).await?;
                store.run_concurrent(async |accessor| command.wasi_cli_run().call_run(accessor).await).await?
            }
        }
    }
}

fn exit(ended: wasmtime::Result<Result<(), ()>>) -> Exit {
    match ended {
        Ok(result) => Exit::with_code(if result.is_ok() { 0 } else { 1 }),
        Err(error) => match (error.downcast_ref::<I32Exit>(), error.downcast_ref::<Exceeded>()) {
            (Some(I32Exit(code)), _) => Exit::with_code(*code),
            (None, Some(exceeded)) => Exit::out_of_memory(exceeded.to_string()),
            (None, None) => Exit::by_trap(trap::describe(&error)),
        },
    }
}
