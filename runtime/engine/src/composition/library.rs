//! The exporter's side: one instance that answers the calls of all its siblings.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use wasmtime::component::{Accessor, InstancePre, ResourceAny, Val};
use wasmtime::format_err;

use super::exporter::{Call, Exporter, Offer};
use super::instance::{Exports, Held};
use super::message::{Handle, Message};
use super::resources::Remote;
use crate::bounds::CALLS;
use crate::container::{Exit, StartError, State};
use crate::host::{self, Host};
use crate::memory::Exceeded;
use crate::program::Program;
use crate::trap;

/// What answers the calls of one run of a container.
pub(crate) struct Library {
    offer: Offer,
    calls: mpsc::Receiver<Call>,
    imports: InstancePre<Host>,
    /// What its instance takes of the node's pool.
    slots: u32,
}

impl Library {
    /// Announces the run to its importers, if it is to have any.
    pub(crate) fn new(state: &State, program: &Program) -> Result<Option<Library>, StartError> {
        let Some(peer) = state.config.composition.peer.clone() else { return Ok(None) };
        let program = &program.inner;
        let imports = program.linked(&state.engine.linker)?;
        let (exporter, calls) = Exporter::new(&state.config.name, program);
        peer.plug(exporter.clone());
        let slots = program.slots().min(state.engine.pool.capacity);
        Ok(Some(Library { offer: Offer { exporter, peer }, calls, imports, slots }))
    }

    pub(crate) fn offer(&self) -> Offer {
        self.offer.clone()
    }

    /// Answers calls until the container ends. There is no instance before the first of them.
    pub(crate) async fn run(mut self, state: Arc<State>) {
        let _unplug = Unplug { offer: self.offer(), state: state.clone() };
        let exporter = self.offer.exporter.clone();
        let first = state.killed.run_until_cancelled(self.calls.recv()).await.flatten();
        let Some(first) = first else { return };
        let grace = state.engine.http.after_response;
        let exit = {
            let run = state.cpu.meter(&state.engine.ticker, self.answer(&state, first));
            tokio::select! {
                biased;
                ended = run => ended.err().map(exit),
                () = state.killed.cancelled() => None,
                () = exporter.running.stuck(grace) => Some(Exit::by_force(&format!(
                    "killed: a call went on for {} s after its caller had gone away", grace.as_secs()
                ))),
            }
        };
        if let Some(exit) = exit {
            exporter.end(exit.message.clone());
            state.end(exit);
        }
    }

    async fn answer(&mut self, state: &State, first: Call) -> wasmtime::Result<()> {
        let _slots = state.engine.pool.slots.acquire_many(self.slots).await?;
        let mut store = host::store(state, &state.main(), || {});
        let instance = self.imports.instantiate_async(&mut store).await?;
        let exports = Exports::find(&mut store, &instance, self.offer.exporter.program())?;
        let mut next = Some(first);
        let mut held = Held::default();
        loop {
            held.drop_released(&mut store, &self.offer.exporter).await?;
            let answering = Answering { exporter: &self.offer.exporter, exports: &exports, held: Mutex::new(held) };
            let calls = &mut self.calls;
            let more =
                store.run_concurrent(async |accessor| answering.calls(accessor, calls, &mut next).await).await??;
            if !more {
                return Ok(());
            }
            held = answering.held.into_inner();
        }
    }
}

fn exit(error: wasmtime::Error) -> Exit {
    match error.downcast_ref::<Exceeded>() {
        Some(exceeded) => Exit::out_of_memory(exceeded.to_string()),
        None => Exit::by_trap(trap::describe(&error)),
    }
}

/// Takes the run away from its importers, however its task ends.
struct Unplug {
    offer: Offer,
    state: Arc<State>,
}

impl Drop for Unplug {
    fn drop(&mut self) {
        self.offer.peer.unplug(&self.offer.exporter);
        // A trap has been told already.
        self.offer.exporter.end(self.state.ended().unwrap_or_else(|| "it was stopped".into()));
    }
}

/// One stretch of answering, until there are resources to drop: that needs the store alone.
struct Answering<'a> {
    exporter: &'a Arc<Exporter>,
    exports: &'a Exports,
    held: Mutex<Held>,
}

impl Answering<'_> {
    /// `false` when nobody can call any more.
    async fn calls(
        &self,
        accessor: &Accessor<Host>,
        calls: &mut mpsc::Receiver<Call>,
        next: &mut Option<Call>,
    ) -> wasmtime::Result<bool> {
        let mut running = FuturesUnordered::new();
        poll_fn(|cx| {
            loop {
                while let Poll::Ready(Some(answered)) = Pin::new(&mut running).poll_next_unpin(cx) {
                    let () = answered?;
                }
                // New calls wait until what was released is dropped, so that this comes about.
                if self.exporter.has_released(cx) {
                    return if running.is_empty() { Poll::Ready(Ok(true)) } else { Poll::Pending };
                }
                if next.is_none() {
                    match calls.poll_recv(cx) {
                        Poll::Ready(Some(call)) => *next = Some(call),
                        Poll::Ready(None) if running.is_empty() => return Poll::Ready(Ok(false)),
                        Poll::Ready(None) | Poll::Pending => return Poll::Pending,
                    }
                }
                if let Some(call) = next.take_if(|call| self.can_begin(accessor, call, running.len(), cx)) {
                    running.push(self.answer(accessor, call));
                } else {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    fn can_begin(&self, accessor: &Accessor<Host>, call: &Call, running: usize, cx: &mut Context<'_>) -> bool {
        let (func, _) = self.exports.functions[call.target.interface][call.target.function];
        running < CALLS && accessor.poll_ready_for_concurrent_call(func, cx).is_ready()
    }

    async fn answer(&self, accessor: &Accessor<Host>, call: Call) -> wasmtime::Result<()> {
        // Begun before the look, so that a caller who goes away just then is noticed.
        self.exporter.running.begin(call.id);
        let id = call.id;
        let answered = if call.reply.is_closed() { Ok(()) } else { self.run(accessor, call).await };
        self.exporter.running.end(id);
        answered
    }

    async fn run(&self, accessor: &Accessor<Host>, call: Call) -> wasmtime::Result<()> {
        let Call { target, message, reply, .. } = call;
        let (func, results) = self.exports.functions[target.interface][target.function];
        // What is lent stays alive until the call has ended, whatever becomes of the caller.
        let lent: Vec<_> = message.handles.iter().map(|(_, handle)| handle.remote.clone()).collect();
        let answer = match message.unpack(|handle| self.take_in(&handle)) {
            Ok(arguments) => {
                let mut results = vec![Val::Bool(false); results];
                func.call_concurrent(accessor, &arguments, &mut results).await?;
                Message::pack(results, target.needs.resources, |resource| self.hand_out(resource))
            }
            Err(error) => Err(error),
        };
        drop(lent);
        // The caller may be gone; what it was to hold is then released.
        let _ = reply.send(answer);
        Ok(())
    }

    fn take_in(&self, handle: &Handle) -> wasmtime::Result<ResourceAny> {
        let mut held = self.held.lock();
        let gone = || format_err!("a resource that is passed was dropped already");
        if !handle.owned {
            return held.resources.get(&handle.remote.id).copied().ok_or_else(gone);
        }
        handle.remote.give_back();
        held.resources.remove(&handle.remote.id).ok_or_else(gone)
    }

    fn hand_out(&self, resource: ResourceAny) -> wasmtime::Result<Handle> {
        let kind = self.exports.resources.iter().position(|ty| *ty == resource.ty());
        let kind = kind.ok_or_else(|| format_err!("a resource in the result is not one that the component exports"))?;
        let id = self.held.lock().insert(resource)?;
        Ok(Handle { remote: Arc::new(Remote::new(self.exporter.clone(), id, kind)), owned: true })
    }
}
