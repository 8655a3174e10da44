//! The opening handshake of a WebSocket (RFC 6455, section 4.2), with a sub-protocol that both ends know.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_websockets::{Limits, ServerBuilder, WebSocketStream};

use super::Refusal;

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The longest message that is taken.
const LONGEST: usize = 1 << 20;
/// How long the client has to go on after the handshake.
const SWITCH: Duration = Duration::from_secs(10);
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A handshake that both ends agree on.
pub(super) struct Agreed {
    /// The sub-protocol, one of those that were offered.
    pub(super) protocol: &'static str,
    /// The answer to the client.
    pub(super) response: Response,
    upgrade: OnUpgrade,
}

/// Agrees on one of the sub-protocols in `offered`, the best first.
pub(super) fn agree(mut request: Request, offered: &[&'static str]) -> Result<Agreed, Refusal> {
    let bad = |words: String| (StatusCode::BAD_REQUEST, words);
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let headers = request.headers();
    let wanted = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if wanted.is_empty() {
        return Err(bad("Upgrade request required".to_owned()));
    }
    if !wanted.eq_ignore_ascii_case("websocket") {
        return Err(bad(format!(
            "{wanted} is not spoken here, only WebSocket: use a client that speaks it, such as kubectl 1.31 or later"
        )));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(bad("only version 13 of WebSocket is spoken here".to_owned()));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(|| bad("Sec-WebSocket-Key is missing".to_owned()))?;
    let accept = accept(key);
    let known = asked(headers);
    let protocol = offered.iter().find(|protocol| known.iter().any(|asked| asked == *protocol));
    let protocol = protocol.ok_or_else(|| {
        bad(format!("none of the sub-protocols {known:?} is spoken here, only {}", offered.join(" and ")))
    })?;
    let upgrade = upgrade.ok_or_else(|| bad("this connection cannot be upgraded".to_owned()))?;
    Ok(Agreed { protocol, response: switching(accept, protocol), upgrade })
}

impl Agreed {
    /// The socket, once the client has gone over to it.
    pub(super) async fn socket(upgrade: OnUpgrade) -> Option<Socket> {
        let limits = Limits::default().max_payload_len(Some(LONGEST));
        Some(ServerBuilder::new().limits(limits).serve(upgraded(upgrade).await?))
    }

    pub(super) fn into_parts(self) -> (&'static str, Response, OnUpgrade) {
        (self.protocol, self.response, self.upgrade)
    }
}

/// The client's connection, once it has gone over to what was agreed.
pub(super) async fn upgraded(upgrade: OnUpgrade) -> Option<TokioIo<Upgraded>> {
    match tokio::time::timeout(SWITCH, upgrade).await {
        Ok(Ok(upgraded)) => return Some(TokioIo::new(upgraded)),
        Ok(Err(error)) => tracing::debug!(%error, "a client went before its connection was upgraded"),
        Err(_) => tracing::debug!("a client did not switch protocols in time"),
    }
    None
}

fn asked(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|protocol| protocol.trim().to_owned()).collect()
}

fn accept(key: &HeaderValue) -> String {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(GUID);
    STANDARD.encode(hash.finish())
}

fn switching(accept: String, protocol: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).expect("base64 is ASCII"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(headers: &[(&str, &str)]) -> String {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        agree(request.body(Body::empty()).unwrap(), &["v5", "v4"]).err().unwrap().1
    }

    #[test]
    fn what_is_not_a_handshake_is_refused_with_words() {
        let (upgrade, version) = (("upgrade", "websocket"), ("sec-websocket-version", "13"));
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        for (headers, words) in [
            (&[][..], "Upgrade request required"),
            (&[("upgrade", "SPDY/3.1")], "SPDY/3.1 is not spoken here"),
            (&[upgrade], "version 13"),
            (&[upgrade, version], "Sec-WebSocket-Key is missing"),
            (&[upgrade, version, key], "none of the sub-protocols []"),
            (&[upgrade, version, key, ("sec-websocket-protocol", "v3, v2")], "only v5 and v4"),
            (&[upgrade, version, key, ("sec-websocket-protocol", "v3, v4")], "cannot be upgraded"),
        ] {
            let said = refusal(headers);
            assert!(said.contains(words), "{headers:?}: {said}");
        }
    }

    #[test]
    fn a_key_is_accepted_as_the_specification_shows() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
