use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// Polls between two looks at the timers. tokio's own 61 would let a timer come 61 ticks late beside guests that spin; a
/// look costs about a microsecond.
const EVENT_INTERVAL: u32 = 4;

/// Polls between two looks at what other threads have woken, which costs next to nothing: a request is not to wait behind
/// more than one guest that spins.
const GLOBAL_QUEUE_INTERVAL: u32 = 1;

/// As many as there are processors that this process may use.
pub(crate) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The runtime that guests run on: threads of their own. Dropping it ends every guest.
///
/// They have the priority of all others. At a lower one, each answer that a guest hands over would have the thread that
/// sends it take the guest's place at once: with an instance for each request, half of the requests per second go into
/// that. A guest that spins lets all others pass at each tick instead.
pub(crate) struct Guests {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Guests {
    pub(crate) fn start(threads: usize) -> io::Result<Guests> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads).enable_time().thread_name("guest");
        let runtime = builder.event_interval(EVENT_INTERVAL).global_queue_interval(GLOBAL_QUEUE_INTERVAL).build()?;
        Ok(Guests { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Where tasks of guests are spawned; whoever spawns one holds what makes it end.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for the threads would block, and the last owner may be a task of another runtime.
            runtime.shutdown_background();
        }
    }
}
