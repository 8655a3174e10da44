//! The exporter's side: one instance that answers the calls of all its siblings.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use futures::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use tokio::sync::{SetOnce, mpsc, oneshot, watch};
use wasmtime::component::{Accessor, Func, Instance, InstancePre, ResourceAny, ResourceType, Val};
use wasmtime::{Store, format_err};

use super::abandoned::Calls;
use super::link::Target;
use super::message::{Handle, Message};
use super::peer::Peer;
use super::resources::Remote;
use crate::bounds::{CALLS, LENT};
use crate::container::{Exit, StartError, State};
use crate::host::{self, Host};
use crate::memory::Exceeded;
use crate::program::{Compiled, Program};
use crate::trap;

/// One run of a container that exports interfaces, as its importers see it.
pub(crate) struct Exporter {
    name: String,
    program: Arc<Compiled>,
    calls: mpsc::Sender<Call>,
    last_call: AtomicU64,
    /// Calls that somebody waits for.
    open: watch::Sender<usize>,
    running: Calls,
    released: Mutex<Released>,
    /// Why it ended.
    outcome: SetOnce<String>,
}

/// Resources that no importer holds any more.
#[derive(Default)]
struct Released {
    ids: Vec<u32>,
    waker: Option<Waker>,
}

struct Call {
    id: u64,
    target: Target,
    message: Message,
    reply: oneshot::Sender<wasmtime::Result<Message>>,
}

impl Exporter {
    /// Calls a function, and waits for its results. Dropping the future gives the call up.
    pub(super) async fn call(self: &Arc<Self>, target: Target, message: Message) -> wasmtime::Result<Message> {
        if message.handles.iter().any(|(_, handle)| !Arc::ptr_eq(&handle.remote.exporter, self)) {
            return Err(format_err!(
                "a resource that is passed belongs to an earlier run of container {:?}",
                self.name
            ));
        }
        let id = self.last_call.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let _caller = Caller::new(self, id);
        if self.calls.send(Call { id, target, message, reply }).await.is_err() {
            return Err(self.ended().await);
        }
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(self.ended().await),
        }
    }

    pub(super) fn program(&self) -> &Arc<Compiled> {
        &self.program
    }

    /// Ends when no call is waited for.
    async fn idle(&self) {
        // Both ends are in `self`, so it cannot fail.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }

    pub(super) fn release(&self, id: u32) {
        let mut released = self.released.lock();
        released.ids.push(id);
        if let Some(waker) = released.waker.take() {
            waker.wake();
        }
    }

    async fn ended(&self) -> wasmtime::Error {
        let why = self.outcome.wait().await;
        format_err!("container {:?} ended during a call of it: {why}", self.name)
    }

    fn has_released(&self, cx: &mut Context<'_>) -> bool {
        let mut released = self.released.lock();
        released.waker = Some(cx.waker().clone());
        !released.ids.is_empty()
    }
}

/// Tells the exporter when its caller goes away.
struct Caller<'a> {
    exporter: &'a Exporter,
    id: u64,
}

impl<'a> Caller<'a> {
    fn new(exporter: &'a Exporter, id: u64) -> Caller<'a> {
        exporter.open.send_modify(|open| *open += 1);
        Caller { exporter, id }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.exporter.open.send_modify(|open| *open -= 1);
        self.exporter.running.abandon(self.id);
    }
}

/// One run, for the container that offers it.
#[derive(Clone)]
pub(crate) struct Offer {
    exporter: Arc<Exporter>,
    peer: Arc<Peer>,
}

impl Offer {
    /// Takes no new call: whoever calls waits for the next run. Ends once those that it has are answered.
    pub(crate) async fn drained(&self) {
        self.peer.unplug(&self.exporter);
        self.exporter.idle().await;
    }

    /// Ends when no container is linked to it any more.
    pub(crate) async fn unused(&self) {
        self.peer.unused().await;
    }
}

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
        let (sender, calls) = mpsc::channel(CALLS);
        let exporter = Arc::new(Exporter {
            name: state.config.name.clone(),
            program: program.clone(),
            calls: sender,
            last_call: AtomicU64::new(0),
            open: watch::Sender::new(0),
            running: Calls::default(),
            released: Mutex::default(),
            outcome: SetOnce::new(),
        });
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
            let _ = exporter.outcome.set(exit.message.clone());
            state.end(exit);
        }
    }

    async fn answer(&mut self, state: &State, first: Call) -> wasmtime::Result<()> {
        let _slots = state.engine.pool.slots.acquire_many(self.slots).await?;
        let mut store = host::store(state, &state.main(), || {});
        let instance = self.imports.instantiate_async(&mut store).await?;
        let exports = Exports::find(&mut store, &instance, &self.offer.exporter.program)?;
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
        // The first reason counts: a trap has been told already.
        let _ = self.offer.exporter.outcome.set(self.state.ended().unwrap_or_else(|| "it was stopped".into()));
    }
}

/// The instance's functions and resource types, as the program numbers them.
struct Exports {
    functions: Vec<Vec<(Func, usize)>>,
    resources: Vec<ResourceType>,
}

impl Exports {
    fn find(store: &mut Store<Host>, instance: &Instance, program: &Compiled) -> wasmtime::Result<Exports> {
        let side = &program.own.exports;
        let mut functions = Vec::new();
        let mut resources = vec![None; side.resources.len()];
        for interface in &side.interfaces {
            let missing = |name: &str| format_err!("{} has no {name}", interface.name);
            let place = instance.get_export_index(&mut *store, None, &interface.name);
            let place = place.ok_or_else(|| missing("instance"))?;
            let mut of_interface = Vec::new();
            for (name, ty) in &interface.functions {
                let index = instance.get_export_index(&mut *store, Some(&place), name).ok_or_else(|| missing(name))?;
                let func = instance.get_func(&mut *store, index).ok_or_else(|| missing(name))?;
                of_interface.push((func, ty.results().len()));
            }
            for (name, number) in &interface.resources {
                let index = instance.get_export_index(&mut *store, Some(&place), name).ok_or_else(|| missing(name))?;
                resources[*number] = instance.get_resource(&mut *store, index);
            }
            functions.push(of_interface);
        }
        let resources: Option<Vec<_>> = resources.into_iter().collect();
        Ok(Exports { functions, resources: resources.ok_or_else(|| format_err!("a resource has no type"))? })
    }
}

/// The resources that importers hold, by the numbers that they know.
#[derive(Default)]
struct Held {
    resources: HashMap<u32, ResourceAny>,
    last: u32,
}

impl Held {
    fn insert(&mut self, resource: ResourceAny) -> wasmtime::Result<u32> {
        if self.resources.len() >= LENT {
            return Err(format_err!("sibling containers hold too many of its resources: at most {LENT}"));
        }
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.resources.contains_key(&self.last) {
                self.resources.insert(self.last, resource);
                return Ok(self.last);
            }
        }
    }

    /// Runs the destructors of what nobody holds any more.
    async fn drop_released(&mut self, store: &mut Store<Host>, exporter: &Exporter) -> wasmtime::Result<()> {
        let ids = std::mem::take(&mut exporter.released.lock().ids);
        for id in ids {
            if let Some(resource) = self.resources.remove(&id) {
                resource.resource_drop_async(&mut *store).await?;
            }
        }
        Ok(())
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
        let Call { id, target, message, reply } = call;
        if reply.is_closed() {
            return Ok(());
        }
        self.exporter.running.begin(id);
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
        self.exporter.running.end(id);
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
