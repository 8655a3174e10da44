//! Asks by HTTP.

use std::time::Duration;

use carob_net::HttpRoute;
use http::header::{ACCEPT, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::HTTPGetAction;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::body::{self, Answered, Sent};
use super::{Answer, tls};
use crate::pods::reach::Reach;

const AGENT: HeaderValue = HeaderValue::from_static("kube-probe/1.37");
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
/// How many redirects are followed.
const REDIRECTS: usize = 10;
/// How much of an answer is read.
const READ: usize = 10 * 1024;

pub(super) async fn ask(reach: &Reach, get: &HTTPGetAction, timeout: Duration) -> Answer {
    let url = match url(reach, get) {
        Ok(url) => url,
        Err(error) => return Answer::Error(error),
    };
    let late = || format!("Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
    match tokio::time::timeout(timeout, follow(reach, &url, get)).await {
        Ok(Ok((200..300, _))) => Answer::Good,
        Ok(Ok((300..400, body))) => Answer::Warning(format!("Probe terminated redirects, Response body: {body}")),
        Ok(Ok((code, _))) => Answer::Bad(format!("HTTP probe failed with statuscode: {code}")),
        Ok(Err(error)) => Answer::Bad(error),
        Err(_) => Answer::Bad(late()),
    }
}

/// The status code of the answer, whatever it is.
pub(in crate::pods) async fn status(reach: &Reach, get: &HTTPGetAction) -> Result<u16, String> {
    let url = url(reach, get)?;
    follow(reach, &url, get).await.map(|(code, _)| code)
}

fn url(reach: &Reach, get: &HTTPGetAction) -> Result<Uri, String> {
    let port = reach.port(&get.port)?;
    let host = get.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| reach.ip.to_string());
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_ascii_lowercase();
    let path = get.path.as_deref().unwrap_or("/");
    let slash = if path.starts_with('/') { "" } else { "/" };
    let url = format!("{scheme}://{host}:{port}{slash}{path}");
    url.parse().map_err(|error| format!("parse {url:?}: {error}"))
}

/// The code and the beginning of the body of the last answer: redirects within the same host are followed.
async fn follow(reach: &Reach, first: &Uri, get: &HTTPGetAction) -> Result<(u16, String), String> {
    let headers = headers(get)?;
    let mut url = first.clone();
    for _ in 0..=REDIRECTS {
        let failed = |error: String| format!("Get \"{url}\": {error}");
        let response = send(reach, &url, &headers).await.map_err(failed)?;
        let code = response.status();
        let next = response.headers().get(LOCATION).filter(|_| code.is_redirection());
        match next.and_then(|next| elsewhere(&url, next)).filter(|next| next.host() == first.host()) {
            Some(next) => url = next,
            None => {
                let (body, _) = body::read(response.into_body(), READ).await.map_err(failed)?;
                return Ok((code.as_u16(), String::from_utf8_lossy(&body).into_owned()));
            }
        }
    }
    Err(format!("Get \"{url}\": stopped after {REDIRECTS} redirects"))
}

fn headers(get: &HTTPGetAction) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::from_iter([(USER_AGENT, AGENT), (ACCEPT, ANYTHING)]);
    for header in get.http_headers.iter().flatten() {
        let name: HeaderName = header.name.parse().map_err(|error| format!("header {:?}: {error}", header.name))?;
        let value: HeaderValue = header.value.parse().map_err(|error| format!("header {:?}: {error}", header.name))?;
        match [USER_AGENT, ACCEPT, HOST].contains(&name) {
            true => drop(headers.insert(name, value)),
            false => drop(headers.append(name, value)),
        }
    }
    Ok(headers)
}

/// Where a `Location` leads from `base`.
fn elsewhere(base: &Uri, location: &HeaderValue) -> Option<Uri> {
    let location: Uri = location.to_str().ok()?.parse().ok()?;
    if location.scheme().is_some() {
        return Some(location);
    }
    let mut parts = base.clone().into_parts();
    parts.authority = location.authority().cloned().or(parts.authority);
    parts.path_and_query = location.path_and_query().cloned();
    Uri::from_parts(parts).ok()
}

/// Sends one request; in process where that can be.
async fn send(reach: &Reach, url: &Uri, headers: &HeaderMap) -> Result<Response<Answered>, String> {
    let secure = url.scheme() == Some(&Scheme::HTTPS);
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let address = reach.address(Some(host), &IntOrString::Int(port.into())).await?;
    let request = request(url, headers)?;
    if secure {
        return over(tls::connect(reach.connect(address).await?, host).await?, request).await;
    }
    match reach.http_route(address)? {
        HttpRoute::InProcess(service) => match service.call(body::in_process(request)).await {
            Ok(response) => Ok(response.map(body::answered)),
            Err((refused, _)) => Err(refused.to_string()),
        },
        HttpRoute::Connect => over(reach.connect(address).await?, request).await,
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
