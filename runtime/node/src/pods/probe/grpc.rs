//! Asks by gRPC's health checking protocol, `grpc.health.v1.Health/Check`.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use carob_net::HttpRoute;
use http::{HeaderMap, Request, Response, Version, header};
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::core::v1::GRPCAction;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::task::JoinSet;

use super::Answer;
use super::body::{self, Sent};
use crate::pods::reach::Reach;

const METHOD: &str = "/grpc.health.v1.Health/Check";
/// More than any answer has.
const READ: usize = 16 * 1024;
const UNIMPLEMENTED: usize = 12;
/// The names of gRPC's status codes, from 0 on.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];
/// The names of `HealthCheckResponse.ServingStatus`, from 0 on.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

pub(super) async fn ask(reach: &Reach, action: &GRPCAction, timeout: Duration) -> Answer {
    let address = match reach.address(None, &IntOrString::Int(action.port)).await {
        Ok(address) => address,
        Err(error) => return Answer::Error(error),
    };
    let service = action.service.as_deref().unwrap_or_default();
    match tokio::time::timeout(timeout, check(reach, address, service)).await {
        Ok(Ok("SERVING")) => Answer::Good,
        Ok(Ok(status)) => Answer::Bad(format!("service unhealthy (responded with {status:?})")),
        Ok(Err(error)) => Answer::Bad(error),
        Err(_) => Answer::Bad(format!("timeout: health rpc did not complete within {timeout:?}")),
    }
}

/// The status that the service is in.
async fn check(reach: &Reach, address: SocketAddr, service: &str) -> Result<&'static str, String> {
    let failed = |error: String| format!("error: health rpc probe failed: {error}");
    let request = request(address, service).map_err(|error| failed(error.to_string()))?;
    let route = reach.http_route(address).map_err(|error| no_connection(address, &error))?;
    let (response, _driver) = match route {
        HttpRoute::InProcess(service) => {
            let answer = service.call(body::in_process(request)).await;
            let response = answer.map_err(|(refused, _)| failed(refused.to_string()))?;
            (response.map(body::answered), JoinSet::new())
        }
        HttpRoute::Connect => {
            let io = reach.connect(address).await.map_err(|error| no_connection(address, &error))?;
            let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await;
            let (mut sender, connection) = handshake.map_err(|error| no_connection(address, &error.to_string()))?;
            let mut driver = JoinSet::new();
            driver.spawn(connection);
            let response = sender.send_request(request).await.map_err(|error| failed(error.to_string()))?;
            (response.map(|body| body.map_err(std::io::Error::other).boxed_unsync()), driver)
        }
    };
    let (parts, body) = response.into_parts();
    let read = body::read(body, READ).await.map_err(failed)?;
    let head = Response::from_parts(parts, ());
    judge_call(&head, read.trailers.as_ref())?;
    serving_status(&read.bytes).ok_or_else(|| failed("the answer is no HealthCheckResponse".to_owned()))
}

fn no_connection(address: SocketAddr, error: &str) -> String {
    format!("error: failed to connect service at \"{address}\": {error}")
}

fn request(address: SocketAddr, service: &str) -> Result<Request<Sent>, http::Error> {
    Request::post(format!("http://{address}{METHOD}"))
        .version(Version::HTTP_2)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, "kube-probe/1.37")
        .body(Sent::new(question(service)))
}

/// A HealthCheckRequest, whose one field is the name, with gRPC's prefix: not compressed, and its length.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        put_varint(&mut message, service.len());
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.put_u32(message.len().try_into().unwrap_or(u32::MAX));
    framed.extend(message);
    framed.into()
}

fn put_varint(into: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// Whether the call itself went well: gRPC says so in the trailers, or in the head of an answer that has nothing else.
fn judge_call(head: &Response<()>, trailers: Option<&HeaderMap>) -> Result<(), String> {
    let field = |name: &str| {
        let found = trailers.and_then(|trailers| trailers.get(name)).or_else(|| head.headers().get(name));
        found.and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    if !head.status().is_success() {
        return Err(format!("error: health rpc probe failed: unexpected HTTP status code {}", head.status()));
    }
    match (field("grpc-status").parse::<usize>(), field("grpc-message")) {
        (Ok(0), _) => Ok(()),
        (Ok(UNIMPLEMENTED), message) => Err(format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}"
        )),
        (Ok(code), message) => {
            let name = CODES.get(code).unwrap_or(&"Unknown");
            Err(format!("error: health rpc probe failed: rpc error: code = {name} desc = {message}"))
        }
        (Err(_), _) => Err("error: health rpc probe failed: the answer has no grpc-status".to_owned()),
    }
}

/// The one field of a HealthCheckResponse, which stands for 0 if it is not there.
fn serving_status(body: &[u8]) -> Option<&'static str> {
    let (prefix, message) = body.split_at_checked(5)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    if prefix[0] != 0 || message.len() != usize::try_from(length).ok()? {
        return None;
    }
    let status = match message {
        [] => 0,
        [0x08, status] => *status,
        _ => return None,
    };
    STATUSES.get(usize::from(status)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_protobufs_in_grpcs_frames() {
        assert_eq!(&question("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&question("db")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'd', b'b']);
        let long = question(&"x".repeat(300));
        assert_eq!(&long[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02]);
        for (body, status) in [
            (&[0, 0, 0, 0, 0][..], Some("UNKNOWN")),
            (&[0, 0, 0, 0, 2, 8, 1], Some("SERVING")),
            (&[0, 0, 0, 0, 2, 8, 2], Some("NOT_SERVING")),
            (&[0, 0, 0, 0, 2, 8, 9], None),
            (&[1, 0, 0, 0, 2, 8, 1], None),
            (&[0, 0, 0, 0, 9, 8, 1], None),
            (&[], None),
        ] {
            assert_eq!(serving_status(body), status, "{body:?}");
        }
    }

    #[test]
    fn a_failed_call_is_told_in_a_kubelets_words() {
        let head = |code: u16, fields: &[(&'static str, &str)]| {
            let mut response = Response::builder().status(code);
            for (name, value) in fields {
                response = response.header(*name, *value);
            }
            response.body(()).unwrap()
        };
        let trailers: HeaderMap =
            [(header::HeaderName::from_static("grpc-status"), "0".parse().unwrap())].into_iter().collect();
        assert_eq!(judge_call(&head(200, &[]), Some(&trailers)), Ok(()));
        for (head, told) in [
            (head(404, &[]), "unexpected HTTP status code 404 Not Found"),
            (head(200, &[]), "the answer has no grpc-status"),
            (
                head(200, &[("grpc-status", "12"), ("grpc-message", "no")]),
                "does not implement the grpc health protocol (grpc.health.v1.Health): no",
            ),
            (head(200, &[("grpc-status", "5"), ("grpc-message", "who")]), "rpc error: code = NotFound desc = who"),
        ] {
            let error = judge_call(&head, None).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
