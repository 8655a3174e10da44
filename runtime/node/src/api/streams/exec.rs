//! `/exec/{namespace}/{pod}/{container}`: another program in a running container.

use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use tokio::sync::Notify;

use super::channels::{Gone, Listener, PROTOCOLS, Speaker, halves};
use super::query::{Pairs, Wanted, command};
use super::upgrade::{Agreed, Socket, agree};
use super::verdict::Verdict;
use super::{Refusal, Shown, pod, processes, running};
use crate::console::{Outbox, Terminal};
use crate::runtime::{Container, ExecSpec, Input};

/// What a shell calls the end by Ctrl-C.
const INTERRUPTED: i32 = 130;

pub(in crate::api) async fn exec(
    State(shown): State<Shown>,
    Path((namespace, name, container)): Path<(String, String, String)>,
    Query(pairs): Query<Pairs>,
    request: Request,
) -> Result<Response, Refusal> {
    let view = pod(&shown, &namespace, &name)?;
    let (container, _) = running(&view, &container)?;
    let (wanted, command) = (Wanted::read(&pairs)?, command(&pairs)?);
    let env = processes::environment(&view, &command);
    let (protocol, response, upgrade) = agree(request, PROTOCOLS)?.into_parts();
    let session = async move {
        let Some(socket) = Agreed::socket(upgrade).await else { return };
        let session = Session { container, command, env, wanted, protocol };
        if session.run(socket).await.is_err() {
            tracing::debug!(pod = name, "an exec session ended before its program");
        }
    };
    shown.sessions.start(session);
    Ok(response)
}

struct Session {
    container: Arc<dyn Container>,
    command: Vec<String>,
    env: Vec<(String, String)>,
    wanted: Wanted,
    protocol: &'static str,
}

impl Session {
    /// Ends with the program, or with the client, and then the program ends too: it lives in this future.
    async fn run(self, socket: Socket) -> Result<(), Gone> {
        let Session { container, command, env, wanted, protocol } = self;
        let (mut sink, source) = halves(socket);
        let mut speaker = Speaker { sink: &mut sink, wanted };
        let outbox = Outbox::new(wanted.terminal);
        let input = if wanted.input { Input::open() } else { Input::default() };
        let interrupted = Notify::new();
        let terminal = wanted.terminal.then(|| (Terminal::default(), outbox.clone()));
        let listener = Listener { source, protocol, input: input.clone(), terminal };
        let spec = ExecSpec { command, env, input, output: outbox.clone(), terminal: wanted.terminal };
        let program = async {
            let verdict = tokio::select! {
                verdict = verdict(&*container, spec) => verdict,
                () = interrupted.notified() => Verdict::code(INTERRUPTED),
            };
            outbox.close();
            verdict
        };
        let spoken = async {
            speaker.greet().await?;
            let (verdict, sent) = tokio::join!(program, speaker.output(&outbox, None));
            sent?;
            speaker.end(verdict).await
        };
        tokio::select! {
            spoken = spoken => spoken,
            gone = listener.listen(|| interrupted.notify_one()) => Err(gone),
        }
    }
}

async fn verdict(container: &dyn Container, spec: ExecSpec) -> Verdict {
    match container.exec(spec).await {
        Ok(process) => process.exited().await.into(),
        Err(error) => (&error).into(),
    }
}
