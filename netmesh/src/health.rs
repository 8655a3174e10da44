//! Tells load balancers in front of the nodes whether endpoints of a Service are on this one, as kube-proxy does at a
//! Service's `healthCheckNodePort`.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use carob_net::Body;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::backends::Backends;
use crate::connection::{self, SendingEnds};
use crate::listener::Serve;
use crate::table::ObjectName;

/// By how much more this node is to get than one that has a single endpoint.
const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");

/// Answers whether flows to the Service end on this node.
pub(crate) struct HealthCheck {
    pub(crate) service: ObjectName,
    pub(crate) backends: Arc<Backends>,
}

impl Serve for HealthCheck {
    async fn serve(self: Arc<Self>, stream: TcpStream, _: SocketAddr, drain: CancellationToken) {
        let answer = move |_| std::future::ready(self.answer());
        connection::serve(stream, answer, SendingEnds::Gone, drain).await;
    }
}

impl HealthCheck {
    /// In kube-proxy's words.
    fn answer(&self) -> Response<Body> {
        let count = self.backends.ready_here();
        let ObjectName { namespace, name } = &self.service;
        let text = format!(
            "{{\"service\": {{\"namespace\": \"{namespace}\", \"name\": \"{name}\"}}, \"localEndpoints\": {count}, \
             \"serviceProxyHealthy\": true}}\n"
        );
        let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = if count > 0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(WEIGHT, HeaderValue::from(count));
        response
    }
}
