//! A runtime whose threads' CPU time is counted: the server's side of a benchmark runs there, its clients elsewhere.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};

/// See the module.
pub(crate) struct Metered {
    runtime: Option<Runtime>,
    threads: Arc<Mutex<Vec<i32>>>,
}

impl Metered {
    pub(crate) fn new() -> Result<Self> {
        let threads = Arc::new(Mutex::new(Vec::new()));
        let started = threads.clone();
        let note = move || started.lock().push(rustix::thread::gettid().as_raw_nonzero().get());
        let runtime = Builder::new_multi_thread().worker_threads(2).on_thread_start(note).enable_all().build()?;
        Ok(Self { runtime: Some(runtime), threads })
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<tokio::task::JoinHandle<T>> {
        Ok(self.runtime.as_ref().context("it runs")?.spawn(task))
    }

    /// How long its threads have been on a CPU.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.threads.lock().iter().map(|thread| on_cpu(*thread)).sum()
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The first number of `schedstat` is the time on a CPU, in nanoseconds.
fn on_cpu(thread: i32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))?;
    let nanoseconds = stat.split(' ').next().context("schedstat has a first number")?.parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}
