//! A runtime whose containers do what a test says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carob_engine::{Interfaces, Mount};
use carob_net::{Body, HttpService, Network, Refused};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    Container, ContainerSpec, ExecError, ExecSpec, Exit, Input, Limits, Output, Process, Runtime, StartError, Stream,
    Usage,
};
use crate::images::Image;

/// Starts everything at once, unless told that a container's start fails.
#[derive(Clone, Default)]
pub(crate) struct FakeRuntime {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    failing: HashMap<String, String>,
    serving: Vec<String>,
    started: Vec<Arc<FakeContainer>>,
}

/// A container that was started.
pub(crate) struct FakeContainer {
    pub(crate) name: String,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) input: Input,
    pub(crate) limits: Mutex<Limits>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) output: Arc<dyn Output>,
    pub(crate) status: Arc<Mutex<StatusCode>>,
    /// Held by each program that runs inside it.
    execs: Arc<()>,
    http: bool,
    exit: Arc<watch::Sender<Option<Exit>>>,
}

impl FakeRuntime {
    /// Containers of this name cannot be started.
    pub(crate) fn fail(&self, name: &str, message: &str) {
        self.inner.lock().failing.insert(name.to_owned(), message.to_owned());
    }

    /// Containers of this name serve HTTP.
    pub(crate) fn serve(&self, name: &str) {
        self.inner.lock().serving.push(name.to_owned());
    }

    /// Every container of this name that was started, in order.
    pub(crate) fn started(&self, name: &str) -> Vec<Arc<FakeContainer>> {
        self.inner.lock().started.iter().filter(|container| container.name == name).cloned().collect()
    }
}

impl FakeContainer {
    pub(crate) fn exit(&self, code: i32) {
        self.end(Exit { code, oom_killed: false, message: None });
    }

    pub(crate) fn end(&self, exit: Exit) {
        self.exit.send_replace(Some(exit));
    }

    /// How many programs run inside it.
    pub(crate) fn execs(&self) -> usize {
        Arc::strong_count(&self.execs) - 1
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.exit.borrow().is_some()
    }
}

impl Runtime for FakeRuntime {
    fn start(&self, _: Image, spec: ContainerSpec) -> BoxFuture<'static, Result<Arc<dyn Container>, StartError>> {
        let mut inner = self.inner.lock();
        let result = match inner.failing.get(&spec.name) {
            Some(message) => Err(StartError(message.clone())),
            None => {
                let container = Arc::new(FakeContainer {
                    http: inner.serving.contains(&spec.name),
                    name: spec.name,
                    args: spec.args,
                    env: spec.env,
                    input: spec.input,
                    limits: Mutex::new(spec.limits),
                    mounts: spec.mounts,
                    network: spec.network,
                    output: spec.output,
                    status: Arc::new(Mutex::new(StatusCode::OK)),
                    execs: Arc::default(),
                    exit: Arc::new(watch::Sender::new(None)),
                });
                inner.started.push(container.clone());
                Ok(container as Arc<dyn Container>)
            }
        };
        async move { result }.boxed()
    }

    fn interfaces(&self, _: Image) -> BoxFuture<'static, Result<Interfaces, StartError>> {
        async { Ok(Interfaces::default()) }.boxed()
    }
}

const USAGE: Usage =
    Usage { cpu: Duration::from_millis(1500), memory_bytes: 65536, memory_peak_bytes: 2 * 65536, requests: 0 };

impl Container for FakeContainer {
    fn exited(&self) -> BoxFuture<'static, Exit> {
        let mut exit = self.exit.subscribe();
        async move { exit.wait_for(Option::is_some).await.unwrap().clone().unwrap() }.boxed()
    }

    /// A server ends at once, anything else when its grace is over, as the engine has it.
    fn terminate(&self, grace: Duration) {
        if self.http && !grace.is_zero() {
            return self.exit(0);
        }
        let exit = self.exit.clone();
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            let killed = Exit { code: 137, oom_killed: false, message: None };
            exit.send_if_modified(|ended| ended.is_none() && ended.replace(killed).is_none());
        });
    }

    fn unused(&self) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }

    fn http(&self) -> Option<Arc<dyn HttpService>> {
        self.http.then(|| Arc::new(Answers(self.status.clone())) as Arc<dyn HttpService>)
    }

    /// `exit CODE` prints its command line and ends with the code; `wait` goes on until it is dropped; nothing else is there.
    fn exec(&self, spec: ExecSpec) -> BoxFuture<'static, Result<Box<dyn Process>, ExecError>> {
        let words: Vec<&str> = spec.command.iter().map(String::as_str).collect();
        let code = match words.as_slice() {
            ["exit", code] => code.parse().ok(),
            ["wait"] => None,
            _ => {
                let error = ExecError::NotFound { name: words.concat(), offered: "there is exit and wait".to_owned() };
                return async move { Err(error) }.boxed();
            }
        };
        spec.output.write(Stream::Stdout, format!("{}\n", spec.command.join(" ")).as_bytes());
        let process = FakeProcess { code, _lives: self.execs.clone() };
        async move { Ok(Box::new(process) as Box<dyn Process>) }.boxed()
    }

    fn resize(&self, limits: Limits) -> Result<(), String> {
        if limits.memory.is_some_and(|memory| memory < USAGE.memory_bytes) {
            return Err(format!("it holds {} bytes", USAGE.memory_bytes));
        }
        *self.limits.lock() = limits;
        Ok(())
    }

    fn usage(&self) -> Usage {
        USAGE
    }
}

/// Has ended with a code, or goes on.
struct FakeProcess {
    code: Option<i32>,
    _lives: Arc<()>,
}

impl Process for FakeProcess {
    fn exited(&self) -> BoxFuture<'static, Exit> {
        match self.code {
            Some(code) => async move { Exit { code, oom_killed: false, message: None } }.boxed(),
            None => std::future::pending().boxed(),
        }
    }
}

/// Answers with a status code.
struct Answers(Arc<Mutex<StatusCode>>);

impl HttpService for Answers {
    fn call(&self, _: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, (Refused, Option<Request<Body>>)>> {
        let body = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = *self.0.lock();
        async move { Ok(response) }.boxed()
    }

    fn load(&self) -> usize {
        0
    }
}
