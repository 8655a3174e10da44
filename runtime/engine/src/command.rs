use std::sync::Arc;

use wasmtime::component::InstancePre;
use wasmtime_wasi::{I32Exit, p2, p3};

use crate::container::{Exit, State};
use crate::host::{self, Host};
use crate::memory::Exceeded;
use crate::program::{Compiled, Entry};
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
    pub(crate) fn new(state: &State, program: &Compiled, imports: InstancePre<Host>) -> wasmtime::Result<Command> {
        let slots = program.slots().min(state.engine.pool.capacity);
        let program = match program.entry {
            Entry::CommandP3 => Pre::P3(p3::bindings::CommandPre::new(imports)?),
            _ => Pre::P2(p2::bindings::CommandPre::new(imports)?),
        };
        Ok(Command { program, slots })
    }

    /// Runs the program to its end, which is the container's end.
    pub(crate) async fn run(self, state: Arc<State>) {
        let run = state.cpu.meter(&state.engine.ticker, self.call(&state));
        if let Some(ended) = state.killed.run_until_cancelled(run).await {
            state.end(exit(ended));
        }
    }

    async fn call(&self, state: &State) -> wasmtime::Result<Result<(), ()>> {
        let _slots = state.engine.pool.slots.acquire_many(self.slots).await?;
        let mut store = host::store(state, || {});
        match &self.program {
            Pre::P2(command) => {
                let command = command.instantiate_async(&mut store).await?;
                command.wasi_cli_run().call_run(&mut store).await
            }
            Pre::P3(command) => {
                let command = command.instantiate_async(&mut store).await?;
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
