use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use tower::Service;

use crate::{ApiServer, Identity, edge};

/// A client in the API server's own process: a tower service over the same pipeline as the network's, with no socket.
///
/// `kube::Client::new(api.client(identity), "default")` makes an ordinary client of it.
#[derive(Clone)]
pub struct InProcess {
    api: ApiServer,
    identity: Identity,
}

impl InProcess {
    pub(crate) fn new(api: ApiServer, identity: Identity) -> Self {
        Self { api, identity: identity.group(Identity::AUTHENTICATED) }
    }
}

impl<B> Service<Request<B>> for InProcess
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (api, identity) = (self.api.clone(), self.identity.clone());
        let request = request.map(Body::new);
        Box::pin(async move { Ok(edge::handle(&api, request, edge::Origin::Process(identity)).await) })
    }
}
