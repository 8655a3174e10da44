use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use anyhow::anyhow;
use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// The running parts of the cluster, in the order in which they were started.
pub(crate) struct Parts {
    running: Vec<Part>,
    ended: (mpsc::UnboundedSender<anyhow::Error>, mpsc::UnboundedReceiver<anyhow::Error>),
}

struct Part {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Default for Parts {
    fn default() -> Self {
        Self { running: Vec::new(), ended: mpsc::unbounded_channel() }
    }
}

impl Parts {
    /// Runs a part until its token is cancelled. A part that ends earlier, or panics, has failed.
    pub(crate) fn start<F>(&mut self, name: &'static str, part: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let (running, stopped, ended) = (part(stop.clone()), stop.clone(), self.ended.0.clone());
        let task = tokio::spawn(async move {
            let outcome = AssertUnwindSafe(running).catch_unwind().await;
            if outcome.is_err() || !stopped.is_cancelled() {
                ended.send(anyhow!("the {name} ended by itself; the log says more")).ok();
            }
        });
        self.running.push(Part { name, stop, task });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Waits for a part to fail, and says why it did.
    pub(crate) async fn failure(&mut self) -> anyhow::Error {
        self.ended.1.recv().await.unwrap_or_else(|| anyhow!("no part is running"))
    }

    /// Ends the parts in reverse order, so that none outlives what it needs, and aborts what is left after `limit`.
    pub(crate) async fn stop(self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for mut part in self.running.into_iter().rev() {
            part.stop.cancel();
            if timeout_at(deadline, &mut part.task).await.is_err() {
                tracing::warn!(part = part.name, "did not end in time");
                part.task.abort();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn parts_end_in_reverse_order() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut parts = Parts::default();
        for name in ["first", "second"] {
            let order = order.clone();
            parts.start(name, |stop| async move {
                stop.cancelled().await;
                order.lock().unwrap().push(name);
            });
        }
        parts.stop(Duration::from_secs(1)).await;
        assert_eq!(*order.lock().unwrap(), ["second", "first"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_ends_by_itself_or_panics_is_a_failure() {
        let mut parts = Parts::default();
        parts.start("node", |_| async {});
        assert!(parts.failure().await.to_string().starts_with("the node ended by itself"));
        parts.start("scheduler", |_| async { panic!("a mistake") });
        assert!(parts.failure().await.to_string().starts_with("the scheduler ended by itself"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_hangs_is_aborted() {
        let mut parts = Parts::default();
        parts.start("node", |_| std::future::pending());
        parts.stop(Duration::from_secs(1)).await;
    }
}
