//! What a guest says.

use std::sync::Arc;

use anyhow::{Context, Result};
use carob_engine::{Output, Stream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::PATIENCE;

/// All that was printed so far.
pub(super) struct Heard(watch::Sender<String>);

impl Heard {
    pub(super) fn new() -> Arc<Heard> {
        Arc::new(Heard(watch::Sender::default()))
    }

    /// Waits until it satisfies, and answers it.
    pub(super) async fn until(&self, what: &'static str, satisfies: impl Fn(&str) -> bool) -> Result<String> {
        let mut heard = self.0.subscribe();
        let text = timeout(PATIENCE, heard.wait_for(|text| satisfies(text))).await;
        Ok(text.with_context(|| format!("waited in vain: {what}"))??.clone())
    }

    pub(super) fn text(&self) -> String {
        self.0.borrow().clone()
    }
}

impl Output for Heard {
    fn write(&self, _stream: Stream, bytes: &[u8]) {
        self.0.send_modify(|text| text.push_str(&String::from_utf8_lossy(bytes)));
    }
}
