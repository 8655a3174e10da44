use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// How much nicer the guests' threads are than the rest of the node. On a full machine the API, the mesh and DNS then get
/// about three times their share.
const NICE: i32 = 5;

/// Polls between two looks at the timers. tokio's own 61 would let a timer come 61 ticks late beside guests that spin; a
/// look costs about a microsecond.
const EVENT_INTERVAL: u32 = 4;

/// As many as there are processors that this process may use.
pub(crate) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The runtime that guests run on: threads of their own, at a lower priority. Dropping it ends every guest.
pub(crate) struct Guests {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Guests {
    pub(crate) fn start(threads: usize) -> io::Result<Guests> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads).event_interval(EVENT_INTERVAL);
        let runtime = builder.enable_time().thread_name("guest").on_thread_start(lower_priority).build()?;
        Ok(Guests { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Where tasks of guests are spawned; whoever spawns one holds what makes it end.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs `work` on a thread where it may block.
    pub(crate) async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.handle.spawn_blocking(work).await.ok()
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

/// On Linux a priority belongs to a thread, and threads that it starts (such as the compiler's) inherit it.
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "guests run at the same priority as the node");
    }
}
