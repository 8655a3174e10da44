use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use parking_lot::RwLock;

/// Whatever went wrong while a body was produced.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request or response that is handed over in process.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Why an endpoint gave no response.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Its queue is full; another endpoint, or a later try, may answer.
    #[error("the endpoint has too many requests waiting")]
    Overloaded,
    /// It has begun to shut down and takes nothing new; the request was not started.
    #[error("the endpoint is shutting down")]
    Closed,
    /// The request was started and its handler ended without a response.
    #[error("the handler gave no response: {0}")]
    Failed(BoxError),
}

/// Something in this process that answers HTTP requests, such as a component that exports `wasi:http`.
pub trait HttpService: Send + Sync + 'static {
    /// Answers one request. Dropping the future cancels it.
    ///
    /// When it is [`Refused::Overloaded`] or [`Refused::Closed`] the request is given back untouched, so that the caller
    /// can take it elsewhere.
    fn call(
        &self,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, (Refused, Option<Request<Body>>)>>;

    /// Requests that are waiting or being answered now; the load balancer compares it.
    fn load(&self) -> usize;
}

/// Which in-process service answers at which Pod address. Cloning shares the registry.
#[derive(Clone, Default)]
pub struct HttpEndpoints {
    by_address: Arc<RwLock<HashMap<SocketAddr, Arc<dyn HttpService>>>>,
}

impl HttpEndpoints {
    /// Makes `service` answer at `address` until the registration is dropped.
    ///
    /// Returns `None` if the address is taken.
    pub fn register(&self, address: SocketAddr, service: Arc<dyn HttpService>) -> Option<Registration> {
        let mut by_address = self.by_address.write();
        if by_address.contains_key(&address) {
            return None;
        }
        by_address.insert(address, service);
        Some(Registration { endpoints: self.clone(), address })
    }

    /// The service that answers at `address`, if it is one of this process.
    pub fn lookup(&self, address: SocketAddr) -> Option<Arc<dyn HttpService>> {
        self.by_address.read().get(&address).cloned()
    }
}

/// Keeps a service reachable at its address; dropping it makes the address free.
pub struct Registration {
    endpoints: HttpEndpoints,
    address: SocketAddr,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.endpoints.by_address.write().remove(&self.address);
    }
}
