//! Asks by HTTP, as a kubelet does for probes and hooks.

use std::time::Duration;

use carob_net::HttpRoute;
use http::header::{ACCEPT, CONNECTION, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::HTTPGetAction;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::body::{self, Answered, Sent};
use super::{Answer, redirect, tls};
use crate::pods::reach::Reach;

const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
/// How many requests are made for one answer.
const REQUESTS: usize = 10;
/// How much of an answer is read.
const READ: usize = 10 * 1024;

/// On whose behalf a request is made; it says so.
#[derive(Debug, Clone, Copy)]
pub(in crate::pods) enum Caller {
    Probe,
    Lifecycle,
}

impl Caller {
    fn agent(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Caller::Probe => "kube-probe/1.37",
            Caller::Lifecycle => "kube-lifecycle/1.37",
        })
    }
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::pods) enum GetError {
    /// The request could not even be made.
    #[error("{0}")]
    Invalid(String),
    /// It was asked by HTTPS and answers by HTTP.
    #[error("Get \"{url}\": http: server gave HTTP response to HTTPS client")]
    NotSecure { url: String },
    #[error("Get \"{url}\": {reason}")]
    Failed { url: String, reason: String },
}

/// What was answered last: redirects within the same host are followed.
pub(in crate::pods) struct Got {
    /// The host and port that were asked first.
    pub(in crate::pods) authority: String,
    code: StatusCode,
    /// The beginning of the body.
    text: String,
}

pub(super) async fn ask(reach: &Reach, action: &HTTPGetAction, timeout: Duration) -> Answer {
    let late = || {
        let url = url(reach, action).map(|url| url.to_string()).unwrap_or_default();
        format!("Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
    };
    match tokio::time::timeout(timeout, get(reach, action, Caller::Probe)).await {
        Ok(Ok(got)) => judge(&got),
        Ok(Err(GetError::Invalid(error))) => Answer::Error(error),
        Ok(Err(error)) => Answer::Bad(error.to_string()),
        Err(_) => Answer::Bad(late()),
    }
}

fn judge(got: &Got) -> Answer {
    match got.code.as_u16() {
        200..300 => Answer::Good,
        300..400 => Answer::Warning(format!("Probe terminated redirects, Response body: {}", got.text)),
        code => Answer::Bad(format!("HTTP probe failed with statuscode: {code}")),
    }
}

/// Asks, whatever the answer's code is.
pub(in crate::pods) async fn get(reach: &Reach, action: &HTTPGetAction, caller: Caller) -> Result<Got, GetError> {
    let first = url(reach, action).map_err(GetError::Invalid)?;
    let mut headers = headers(action, caller).map_err(GetError::Invalid)?;
    let mut url = first.clone();
    for _ in 0..REQUESTS {
        let failed = |error: SendError| error.of(&url);
        let response = send(reach, &url, &headers).await.map_err(failed)?;
        match next(&url, &response).map_err(failed)?.filter(|next| next.uri.host() == first.host()) {
            Some(next) => {
                if next.is_absolute {
                    headers.remove(HOST);
                }
                url = next.uri;
            }
            None => {
                let code = response.status();
                let body = body::read(response.into_body(), READ).await.map_err(|error| failed(error.into()))?;
                let authority = first.authority().map(ToString::to_string).unwrap_or_default();
                return Ok(Got { authority, code, text: String::from_utf8_lossy(&body.bytes).into_owned() });
            }
        }
    }
    Err(SendError::from(format!("stopped after {REQUESTS} redirects")).of(&url))
}

fn url(reach: &Reach, action: &HTTPGetAction) -> Result<Uri, String> {
    let port = reach.port(&action.port)?;
    let host = action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| reach.ip.to_string());
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let scheme = action.scheme.as_deref().unwrap_or("HTTP").to_ascii_lowercase();
    let path = action.path.as_deref().unwrap_or("/");
    let slash = if path.starts_with('/') { "" } else { "/" };
    let url = format!("{scheme}://{host}:{port}{slash}{path}");
    url.parse().map_err(|error| format!("parse {url:?}: {error}"))
}

/// What the action says, and what Go's client would add or leave out.
fn headers(action: &HTTPGetAction, caller: Caller) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for header in action.http_headers.iter().flatten() {
        let name: HeaderName = header.name.parse().map_err(|error| format!("header {:?}: {error}", header.name))?;
        let value: HeaderValue = header.value.parse().map_err(|error| format!("header {:?}: {error}", header.name))?;
        match [USER_AGENT, HOST].contains(&name) && headers.contains_key(&name) {
            true => {}
            false => drop(headers.append(name, value)),
        }
    }
    headers.entry(USER_AGENT).or_insert(caller.agent());
    headers.entry(ACCEPT).or_insert(ANYTHING);
    for name in [USER_AGENT, ACCEPT, HOST] {
        if headers.get(&name).is_some_and(HeaderValue::is_empty) {
            headers.remove(name);
        }
    }
    Ok(headers)
}

/// Where an answer sends the asker, if it does.
fn next(url: &Uri, response: &Response<Answered>) -> Result<Option<redirect::Target>, SendError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION).filter(|location| !location.is_empty()) else {
        return Ok(None);
    };
    let target = location.to_str().ok().and_then(|location| redirect::resolve(url, location));
    let unreadable = || SendError::from(format!("failed to parse Location header {location:?}"));
    target.map(Some).ok_or_else(unreadable)
}

/// Why a request had no answer, still without what was asked.
enum SendError {
    NotSecure,
    Other(String),
}

impl From<String> for SendError {
    fn from(error: String) -> SendError {
        SendError::Other(error)
    }
}

impl SendError {
    fn of(self, url: &Uri) -> GetError {
        let url = url.to_string();
        match self {
            SendError::NotSecure => GetError::NotSecure { url },
            SendError::Other(reason) => GetError::Failed { url, reason },
        }
    }
}

/// Sends one request; in process where that can be.
async fn send(reach: &Reach, url: &Uri, headers: &HeaderMap) -> Result<Response<Answered>, SendError> {
    let secure = url.scheme() == Some(&Scheme::HTTPS);
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let address = reach.address(Some(host), &IntOrString::Int(port.into())).await?;
    let request = request(url, headers)?;
    if secure {
        let io = reach.connect(address).await?;
        return Ok(over(tls::connect(io, host).await?, request).await?);
    }
    match reach.http_route(address)? {
        HttpRoute::InProcess(service) => match service.call(body::in_process(request)).await {
            Ok(response) => Ok(response.map(body::answered)),
            Err((refused, _)) => Err(refused.to_string().into()),
        },
        HttpRoute::Connect => Ok(over(reach.connect(address).await?, request).await?),
    }
}

impl From<tls::Refused> for SendError {
    fn from(refused: tls::Refused) -> SendError {
        match refused {
            tls::Refused::SpeaksHttp => SendError::NotSecure,
            tls::Refused::Other(error) => SendError::Other(error),
        }
    }
}

fn request(url: &Uri, headers: &HeaderMap) -> Result<Request<Sent>, String> {
    let mut request = Request::get(url).body(Sent::default()).map_err(|error| error.to_string())?;
    *request.headers_mut() = headers.clone();
    let authority = url.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let authority = HeaderValue::from_str(authority).map_err(|error| error.to_string())?;
    request.headers_mut().entry(HOST).or_insert(authority);
    Ok(request)
}

/// Over a connection of its own, which ends with the answer's body.
async fn over(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    mut request: Request<Sent>,
) -> Result<Response<Answered>, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(|error| said(&error))?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = path.into();
    let response = sender.send_request(request).await.map_err(|error| said(&error))?;
    Ok(response.map(|body| {
        let held = move |frame| {
            let _alive = &driver;
            frame
        };
        body.map_frame(held).map_err(std::io::Error::other).boxed_unsync()
    }))
}

fn said(error: &hyper::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| source.to_string())
}
