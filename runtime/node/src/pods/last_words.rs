//! The message that an ended container leaves behind.

use std::path::PathBuf;

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Container;

use crate::logs::{self, LogHub, LogOptions};
use crate::runtime::Exit;

/// How much of a log's end may stand for a message, as a kubelet has it.
const MOST_LINES: u64 = 80;
const MOST_BYTES: usize = 2048;

/// Where an ended container's last words are to be looked for.
pub(crate) struct LastWords {
    /// Its log, if that may stand for a message.
    log: Option<PathBuf>,
}

impl LastWords {
    pub(crate) fn of(container: &Container, log: PathBuf) -> LastWords {
        let falls_back = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        LastWords { log: falls_back.then_some(log) }
    }

    /// Puts the last words into `exit`, whose own message stays where there are none. The log must have ended.
    pub(crate) async fn put(self, exit: &mut Exit, hub: &LogHub) {
        let Some(log) = self.log.filter(|_| exit.code != 0) else { return };
        match tail(hub, log).await {
            Ok(text) if text.is_empty() => {}
            Ok(text) => exit.message = Some(text),
            Err(error) => tracing::warn!(%error, "the end of a container's log could not be read"),
        }
    }
}

async fn tail(hub: &LogHub, log: PathBuf) -> std::io::Result<String> {
    let options = LogOptions { tail: Some(MOST_LINES), ..LogOptions::default() };
    let pieces: Vec<bytes::Bytes> = logs::stream(hub, log, options).await?.try_collect().await?;
    let text = pieces.concat();
    let end = &text[text.len().saturating_sub(MOST_BYTES)..];
    Ok(String::from_utf8_lossy(end).into_owned())
}
