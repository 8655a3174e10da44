//! `/attach/{namespace}/{pod}/{container}`: a container's own standard streams.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::response::Response;

use super::channels::{Gone, Listener, PROTOCOLS, Speaker, halves};
use super::query::{Pairs, Wanted};
use super::upgrade::{Agreed, Socket, agree};
use super::verdict::Verdict;
use super::{Refusal, Shown, pod, running};
use crate::console::{Console, Terminal};
use crate::runtime::Container;

/// A client that takes nothing for so long is cut off: until then it holds up the container.
const PATIENCE: Duration = Duration::from_secs(10);

pub(in crate::api) async fn attach(
    State(shown): State<Shown>,
    Path((namespace, name, container)): Path<(String, String, String)>,
    Query(pairs): Query<Pairs>,
    request: Request,
) -> Result<Response, Refusal> {
    let view = pod(&shown, &namespace, &name)?;
    let (container, console) = running(&view, &container)?;
    let mut wanted = Wanted::read(&pairs)?;
    // A terminal is the container's, or there is none.
    wanted.terminal &= console.terminal();
    let (protocol, response, upgrade) = agree(request, PROTOCOLS)?.into_parts();
    let session = async move {
        let Some(socket) = Agreed::socket(upgrade).await else { return };
        if run(socket, container, console, wanted, protocol).await.is_err() {
            tracing::debug!(pod = name, "an attached client has gone, or took nothing, before the container ended");
        }
    };
    shown.sessions.start(session);
    Ok(response)
}

/// Ends with the container, or with the client.
async fn run(
    socket: Socket,
    container: Arc<dyn Container>,
    console: Arc<Console>,
    wanted: Wanted,
    protocol: &'static str,
) -> Result<(), Gone> {
    let (mut sink, source) = halves(socket);
    let mut speaker = Speaker { sink: &mut sink, wanted };
    let attached = console.attach(wanted.input);
    let terminal = wanted.terminal.then(|| (Terminal::default(), attached.outbox.clone()));
    let listener = Listener { source, protocol, input: attached.input(), terminal };
    let spoken = async {
        speaker.greet().await?;
        speaker.output(&attached.outbox, Some(PATIENCE)).await?;
        speaker.end(Verdict::success()).await
    };
    tokio::select! {
        spoken = spoken => spoken,
        gone = listener.listen(|| container.terminate(Duration::ZERO)) => Err(gone),
    }
}
