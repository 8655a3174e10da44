//! Headers on their way through the gateway.

use std::net::IpAddr;

use http::header::{CONNECTION, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// Of one connection, not of the message (RFC 9110, section 7.6.1). `Trailer` is let through, as trailers are.
const HOP_BY_HOP: [HeaderName; 8] =
    [CONNECTION, KEEP_ALIVE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE];
/// What HTTP/2 counts for each header beside its bytes (RFC 9113, section 6.5.2).
const OVERHEAD: usize = 32;

/// The host that a request is for, as it was sent: with its port, if it has one.
pub(crate) fn authority<B>(request: &Request<B>) -> Option<&str> {
    let of_uri = request.uri().authority().map(|authority| authority.as_str());
    of_uri.or_else(|| request.headers().get(HOST)?.to_str().ok()).filter(|host| !host.is_empty())
}

/// The name in an authority, in lower case; without port, and without the dot of a full name.
pub(crate) fn host_name(authority: &str) -> String {
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    let name = name.rsplit_once('@').map_or(name, |(_, name)| name);
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// How large a head is, as HTTP/2 counts.
pub(crate) fn size<B>(request: &Request<B>) -> usize {
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD);
    let uri = request.uri();
    let target = uri.authority().map_or(0, |authority| authority.as_str().len())
        + uri.path_and_query().map_or(0, |path| path.as_str().len());
    headers.sum::<usize>() + target
}

/// The protocol that a client wants to go on with instead of HTTP/1.1, such as `websocket`.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = connection_options(headers).any(|option| option.eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| asks).cloned()
}

/// Takes away what was meant for this connection alone.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = connection_options(headers).filter_map(|name| name.parse().ok()).collect();
        named.iter().for_each(|name| drop(headers.remove(name)));
    }
    let keeps_trailers = headers.get(TE).is_some_and(|te| te == "trailers");
    HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(name)));
    if keeps_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Says for whom the request is made. What the client says of that itself is not believed.
pub(crate) fn forward(headers: &mut HeaderMap, client: IpAddr, is_tls: bool, authority: &str) {
    headers.remove(FORWARDED);
    set(headers, FORWARDED_FOR, &client.to_canonical().to_string());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(if is_tls { "https" } else { "http" }));
    set(headers, FORWARDED_HOST, authority);
}

/// Makes a request one that HTTP/1.1 can carry: the host in a header, and nothing but path and query in the target.
pub(crate) fn to_http1<B>(request: &mut Request<B>) {
    if let Some(authority) = request.uri().authority().map(|authority| authority.as_str().to_owned()) {
        set(request.headers_mut(), HOST, &authority);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map(Uri::from).unwrap_or_else(|| Uri::from_static("/"));
    *request.version_mut() = http::Version::HTTP_11;
}

/// A value that cannot stand in a header is none.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => drop(headers.insert(name, value)),
        Err(_) => drop(headers.remove(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let entry = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(entry).collect()
    }

    #[test]
    fn a_host_is_known_by_its_name_alone() {
        let cases = [
            ("a.example", "a.example"),
            ("A.Example:8080", "a.example"),
            ("a.example.", "a.example"),
            ("a.example.:80", "a.example"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("user@a.example:80", "a.example"),
        ];
        for (authority, expected) in cases {
            assert_eq!(host_name(authority), expected, "{authority}");
        }
    }

    #[test]
    fn what_is_of_the_connection_stays_with_it() {
        let mut all = headers(&[
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-kept", "1"),
        ]);
        strip_hop_by_hop(&mut all);
        let names: Vec<&str> = all.keys().map(HeaderName::as_str).collect();
        assert_eq!((names.len(), all.get("te").is_some(), all.get("x-kept").is_some()), (2, true, true), "{names:?}");
    }

    #[test]
    fn an_upgrade_is_asked_for_in_both_headers() {
        let both = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(upgrade(&both).unwrap(), "websocket");
        assert_eq!(upgrade(&headers(&[("upgrade", "websocket")])), None);
        assert_eq!(upgrade(&headers(&[("connection", "upgrade")])), None);
    }

    #[test]
    fn the_client_is_told_and_what_it_says_itself_is_not_believed() {
        let mut all =
            headers(&[("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=10.0.0.1"), ("x-forwarded-proto", "https")]);
        forward(&mut all, "::ffff:192.0.2.7".parse().unwrap(), false, "a.example:8080");
        assert_eq!(all.get("x-forwarded-for").unwrap(), "192.0.2.7");
        assert_eq!(all.get("x-forwarded-proto").unwrap(), "http");
        assert_eq!(all.get("x-forwarded-host").unwrap(), "a.example:8080");
        assert!(!all.contains_key("forwarded"));
    }

    #[test]
    fn a_request_of_http2_becomes_one_of_http1() {
        let mut request = Request::get("https://a.example:8443/b?c=d").version(http::Version::HTTP_2).body(()).unwrap();
        assert_eq!(authority(&request), Some("a.example:8443"));
        to_http1(&mut request);
        assert_eq!(request.uri(), "/b?c=d");
        assert_eq!(request.headers()["host"], "a.example:8443");
        assert_eq!(authority(&request), Some("a.example:8443"));
    }
}
