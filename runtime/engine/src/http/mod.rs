//! Requests to instances.

use std::sync::Arc;

use carob_net::{Body, HttpService, Refused};
use futures::future::{BoxFuture, FutureExt};
use http::{Request, Response};
use wasmtime::component::InstancePre;

use crate::container::State;
use crate::host::Host;
use crate::program::Compiled;

/// Answers the requests of one container.
pub(crate) struct Dispatcher {
    _state: Arc<State>,
    _imports: InstancePre<Host>,
}

impl Dispatcher {
    pub(crate) fn new(
        state: Arc<State>,
        _program: &Compiled,
        imports: InstancePre<Host>,
    ) -> wasmtime::Result<Arc<Dispatcher>> {
        Ok(Arc::new(Dispatcher { _state: state, _imports: imports }))
    }

    pub(crate) fn close(&self) {}

    pub(crate) async fn drained(&self) {}
}

impl HttpService for Dispatcher {
    fn call(
        &self,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, (Refused, Option<Request<Body>>)>> {
        async { Err((Refused::Closed, Some(request))) }.boxed()
    }

    fn load(&self) -> usize {
        0
    }
}
