//! The message that an ended container leaves behind: what it wrote to its `terminationMessagePath`, or the end of its log.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Container;

use super::context::Context;
use crate::logs::{self, LogHub, LogOptions, PodRef};
use crate::runtime::Exit;
use crate::volumes;

/// How much of a message is taken, from its end, as a kubelet has it.
const MOST_MESSAGE: u64 = 4096;
/// How much of a log's end may stand for a message.
const MOST_LINES: u64 = 80;
const MOST_BYTES: usize = 2048;

/// Where an ended container's last words are to be looked for.
pub(crate) struct LastWords {
    /// What the container wrote itself.
    message: PathBuf,
    /// Its log, if that may stand for a message.
    log: Option<PathBuf>,
    hub: LogHub,
}

impl LastWords {
    /// Of the container's n-th restart.
    pub(crate) fn of(context: &Context, pod: &PodRef, container: &Container, restart: i32) -> LastWords {
        let falls_back = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        LastWords {
            message: volumes::message(&context.dirs.given(pod, &container.name)),
            log: falls_back.then(|| context.dirs.log(pod, &container.name, restart)),
            hub: context.logs.clone(),
        }
    }

    /// Puts the last words into `exit`, behind what the runtime has to say. The log must have ended.
    pub(crate) async fn put(self, exit: &mut Exit) {
        let words = self.find(exit.code).await;
        if words.is_empty() {
            return;
        }
        exit.message = Some(match exit.message.take() {
            Some(own) => format!("{own}: {words}"),
            None => words,
        });
    }

    async fn find(self, code: i32) -> String {
        let path = self.message.clone();
        let message = match tokio::task::spawn_blocking(move || end_of(&path)).await.map_err(io::Error::other).flatten()
        {
            Ok(message) => String::from_utf8_lossy(&message).into_owned(),
            Err(error) => format!("Error on reading termination log {}: {error}", self.message.display()),
        };
        match self.log.filter(|_| message.is_empty() && code != 0) {
            Some(log) => tail(&self.hub, log).await,
            None => message,
        }
    }
}

/// The end of a message; empty if there is none.
fn end_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MOST_MESSAGE)))?;
    let mut end = Vec::new();
    file.take(MOST_MESSAGE).read_to_end(&mut end)?;
    Ok(end)
}

async fn tail(hub: &LogHub, log: PathBuf) -> String {
    let text = match read_tail(hub, log).await {
        Ok(text) => text,
        Err(error) => {
            tracing::warn!(%error, "the end of a container's log could not be read");
            return String::new();
        }
    };
    String::from_utf8_lossy(&text[text.len().saturating_sub(MOST_BYTES)..]).into_owned()
}

async fn read_tail(hub: &LogHub, log: PathBuf) -> io::Result<Vec<u8>> {
    let options = LogOptions { tail: Some(MOST_LINES), ..LogOptions::default() };
    let pieces: Vec<bytes::Bytes> = logs::stream(hub, log, options).await?.try_collect().await?;
    Ok(pieces.concat())
}
