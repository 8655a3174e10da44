//! Counts what HTTP carries for a workload when there is no connection to count at.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use carob_net::{Account, Answer, Body, BoxError, HttpService};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;

/// Which side of an exchange a workload is on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Asks,
    Answers,
}

/// A service whose exchanges are counted for one of the two workloads.
pub(crate) struct Metered {
    service: Arc<dyn HttpService>,
    meter: Meter,
}

impl Metered {
    pub(crate) fn new(service: Arc<dyn HttpService>, account: Arc<Account>, side: Side) -> Metered {
        Metered { service, meter: Meter { account, side } }
    }
}

#[derive(Clone)]
struct Meter {
    account: Arc<Account>,
    side: Side,
}

impl Meter {
    fn request(&self, bytes: usize) {
        match self.side {
            Side::Asks => self.account.count_sent(bytes),
            Side::Answers => self.account.count_received(bytes),
        }
    }

    fn response(&self, bytes: usize) {
        match self.side {
            Side::Asks => self.account.count_received(bytes),
            Side::Answers => self.account.count_sent(bytes),
        }
    }
}

impl HttpService for Metered {
    fn call(&self, request: Request<Body>) -> Answer {
        let meter = self.meter.clone();
        let head = request_head(&request);
        let (request, lent) = lend(request, &meter);
        let answer = self.service.call(request);
        Box::pin(async move {
            match answer.await {
                Ok(response) => {
                    meter.request(head);
                    Ok(counted(response, meter))
                }
                Err((refused, request)) => Err((refused, request.map(|request| give_back(request, lent)))),
            }
        })
    }

    fn load(&self) -> usize {
        self.service.load()
    }
}

/// About what HTTP/1.1 would write.
fn request_head(request: &Request<Body>) -> usize {
    let target = request.uri().path_and_query().map_or(1, |target| target.as_str().len());
    request.method().as_str().len() + target + " HTTP/1.1\r\n\r\n".len() + 1 + headers(request.headers())
}

fn headers(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}

fn counted(response: Response<Body>, meter: Meter) -> Response<Body> {
    meter.response("HTTP/1.1 200 OK\r\n\r\n".len() + headers(response.headers()));
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| Counted { body, meter }.boxed_unsync())
}

/// A response's body.
struct Counted {
    body: Body,
    meter: Meter,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.meter.response(frame.data_ref().map_or(0, Bytes::len));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body that can be had back if the service does not want it, so that the next one gets it as it was.
type Lent = Arc<Mutex<Option<Body>>>;

fn lend(request: Request<Body>, meter: &Meter) -> (Request<Body>, Option<Lent>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let (head, body) = request.into_parts();
    let lent: Lent = Arc::new(Mutex::new(Some(body)));
    let borrowed = Borrowed { body: lent.clone(), meter: meter.clone() };
    (Request::from_parts(head, borrowed.boxed_unsync()), Some(lent))
}

fn give_back(request: Request<Body>, lent: Option<Lent>) -> Request<Body> {
    match lent.and_then(|lent| lent.lock().take()) {
        Some(body) => request.map(|_| body),
        None => request,
    }
}

struct Borrowed {
    body: Lent,
    meter: Meter,
}

impl HttpBody for Borrowed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match &mut *self.body.lock() {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        };
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.meter.request(frame.data_ref().map_or(0, Bytes::len));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}
