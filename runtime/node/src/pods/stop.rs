//! Ends one container.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Clock, between};
use crate::runtime::Container;

/// How long an HTTP container goes on answering after its Pod was deleted, at least: by then the load balancers know.
const DRAIN: Duration = Duration::from_secs(1);
/// Without a request for this long it is taken to be out of every load balancer's table.
const QUIET: Duration = Duration::from_millis(500);

/// Tells the container to end, and has it ended at `until`.
///
/// One that serves HTTP first goes on as before until requests stop coming, for half of its grace at most: a request
/// that was sent its way before its end was known is answered.
pub(super) async fn stop(container: Arc<dyn Container>, clock: Clock, until: Timestamp, drains: bool) {
    if drains && container.http().is_some() {
        drain(container.as_ref(), between(clock.now(), until) / 2).await;
    }
    if drains {
        // Whoever imports from it may still have requests to answer.
        let _ = tokio::time::timeout(between(clock.now(), until), container.unused()).await;
    }
    container.terminate(between(clock.now(), until));
}

async fn drain(container: &dyn Container, limit: Duration) {
    let mut waited = DRAIN.min(limit);
    tokio::time::sleep(waited).await;
    while waited + QUIET <= limit {
        let requests = container.usage().requests;
        tokio::time::sleep(QUIET).await;
        waited += QUIET;
        if container.usage().requests == requests {
            return;
        }
    }
}
