use std::future::Future;

use tokio::task::JoinSet;

/// Does the same thing `count` times, in parallel batches of 1, 2, 4, ...: where nothing works, little is tried, and
/// where it works, all is soon done. Stops after the first batch with a failure. Returns how many worked, and the
/// first failure.
pub(crate) async fn slow_start<F, Fut, E>(count: usize, act: F) -> (usize, Option<E>)
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let (mut done, mut begun, mut size) = (0, 0, 1);
    while begun < count {
        let end = count.min(begun + size);
        let mut batch: JoinSet<Result<(), E>> = (begun..end).map(&act).collect();
        let mut failure = None;
        while let Some(result) = batch.join_next().await {
            match result {
                Ok(Ok(())) => done += 1,
                Ok(Err(error)) => failure = failure.or(Some(error)),
                Err(error) => tracing::error!(%error, "a write panicked"),
            }
        }
        if failure.is_some() {
            return (done, failure);
        }
        (begun, size) = (end, size * 2);
    }
    (done, None)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn attempts(count: usize, fail_from: usize) -> (usize, usize, Option<usize>) {
        let attempts = Arc::new(AtomicUsize::new(0));
        let (done, failure) = slow_start(count, |index| {
            let attempts = attempts.clone();
            async move {
                attempts.fetch_add(1, Ordering::SeqCst);
                if index >= fail_from { Err(index) } else { Ok(()) }
            }
        })
        .await;
        (attempts.load(Ordering::SeqCst), done, failure)
    }

    #[tokio::test]
    async fn stops_after_the_batch_that_failed() {
        assert_eq!(attempts(100, 0).await, (1, 0, Some(0)));
        assert_eq!(attempts(100, 1000).await, (100, 100, None));
        let (tried, done, failure) = attempts(100, 5).await;
        assert_eq!((tried, done), (7, 5));
        assert!(failure.is_some());
        assert_eq!(attempts(0, 0).await, (0, 0, None));
    }
}
