use std::fmt::Display;
use std::future::{Future, pending};
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::queue::{Queue, Taken};

/// What to do with an object after a run that worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing, until something changes.
    Done,
    /// Look again after this time, whatever happens.
    After(Duration),
}

/// Makes one object what it should be. Accepts no input but the name: everything else is read anew.
pub trait Reconcile: Send + Sync + 'static {
    /// What names an object.
    type Key: Clone + Ord + Hash + Display + Send + Sync + 'static;

    /// The controller's name, for the log.
    const NAME: &'static str;

    /// One run. An error is retried with back-off.
    fn reconcile(&self, key: Self::Key) -> impl Future<Output = kube::Result<Next>> + Send;
}

/// Runs the reconciler over its queue, at most `workers` objects at once, for ever. Dropping the future ends every
/// run at its next await.
pub async fn run<R: Reconcile>(reconciler: Arc<R>, queue: Arc<Queue<R::Key>>, workers: usize) {
    let mut runs = JoinSet::new();
    loop {
        let mut wait = None;
        while runs.len() < workers {
            match queue.take() {
                Taken::Run(key) => {
                    runs.spawn(once(reconciler.clone(), queue.clone(), key));
                }
                Taken::Wait(until) => {
                    wait = until;
                    break;
                }
            }
        }
        tokio::select! {
            () = queue.woken(), if runs.len() < workers => {}
            () = until(wait), if runs.len() < workers => {}
            Some(_) = runs.join_next() => {}
        }
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

async fn once<R: Reconcile>(reconciler: Arc<R>, queue: Arc<Queue<R::Key>>, key: R::Key) {
    match AssertUnwindSafe(reconciler.reconcile(key.clone())).catch_unwind().await {
        Ok(Ok(next)) => {
            queue.succeeded(&key);
            if let Next::After(delay) = next {
                queue.add_after(key.clone(), delay);
            }
        }
        Ok(Err(error)) => {
            report::<R>(&key, &error);
            queue.retry(key.clone());
        }
        Err(_) => {
            tracing::error!(controller = R::NAME, %key, "the controller panicked; trying again");
            queue.retry(key.clone());
        }
    }
    queue.done(&key);
}

/// A conflict or a vanished object is the world moving on, not a failure worth a line in the log.
fn report<R: Reconcile>(key: &R::Key, error: &kube::Error) {
    match error {
        kube::Error::Api(status) if status.code == 409 || status.code == 404 => {
            tracing::debug!(controller = R::NAME, %key, %error, "the object changed meanwhile; trying again");
        }
        _ => tracing::warn!(controller = R::NAME, %key, %error, "trying again"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Flaky {
        runs: AtomicU32,
        at_once: AtomicU32,
    }

    impl Reconcile for Flaky {
        type Key = u32;
        const NAME: &'static str = "flaky";

        async fn reconcile(&self, key: u32) -> kube::Result<Next> {
            assert_eq!(self.at_once.fetch_add(1, Ordering::SeqCst), 0, "two runs for one object");
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            match self.runs.fetch_add(1, Ordering::SeqCst) {
                0 => panic!("{key}: the first run panics"),
                1 => Err(kube::Error::TlsRequired),
                2 => Ok(Next::After(Duration::from_secs(1))),
                _ => Ok(Next::Done),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn panics_and_errors_are_retried_and_runs_of_one_object_never_overlap() {
        let flaky = Arc::new(Flaky { runs: AtomicU32::new(0), at_once: AtomicU32::new(0) });
        let queue = Arc::new(Queue::new());
        queue.add(1);
        let loop_ = tokio::spawn(run(flaky.clone(), queue.clone(), 4));
        while flaky.runs.load(Ordering::SeqCst) < 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if flaky.at_once.load(Ordering::SeqCst) == 1 {
                queue.add(1);
            }
        }
        loop_.abort();
    }
}
