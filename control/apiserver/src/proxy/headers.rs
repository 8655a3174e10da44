//! What of a message's head passes a proxy. RFC 9110, section 7.6.1.

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

/// What is between two neighbours, beside what `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// A request's headers for whoever is asked: without what proves to the API server who the client is, and with where the
/// client believes to be.
pub(super) fn onwards(headers: &HeaderMap, uri: &Uri) -> HeaderMap {
    let mut kept = end_to_end(headers);
    kept.remove(header::AUTHORIZATION);
    // The client was told to go on already.
    kept.remove(header::EXPECT);
    let host = host(headers, uri);
    let told = [(header::HOST, host), (FORWARDED_HOST, host), (FORWARDED_PROTO, "https"), (FORWARDED_URI, uri.path())];
    for (name, value) in told {
        kept.insert(
            name,
            HeaderValue::from_str(value).expect("what stands in a URI or a header may stand in a header"),
        );
    }
    kept
}

/// An answer's headers for the client: a redirect to a path leads to that path behind `prefix`, where the client finds it.
pub(super) fn back(headers: &HeaderMap, prefix: &str, host: &str) -> HeaderMap {
    let mut kept = end_to_end(headers);
    let location = kept.get(header::LOCATION).and_then(|location| location.to_str().ok());
    let moved = location.and_then(|location| moved(location, prefix, host));
    if let Some(Ok(location)) = moved.map(HeaderValue::try_from) {
        kept.insert(header::LOCATION, location);
    }
    kept
}

/// Where a client that asked behind `prefix` finds a place; `None` if it is somewhere else, or relative.
fn moved(location: &str, prefix: &str, host: &str) -> Option<String> {
    let uri: Uri = location.parse().ok()?;
    let here = uri.authority().is_none_or(|authority| authority.as_str() == host);
    let path = uri.path_and_query()?.as_str();
    (here && path.starts_with('/') && !location.starts_with("//") && !path.starts_with(prefix))
        .then(|| format!("{prefix}{path}"))
}

/// Whom the client believes to ask.
pub(super) fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> &'a str {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    // HTTP/2 has it in the URI; a client within the process has it nowhere.
    named.or(uri.authority().map(|authority| authority.as_str())).unwrap_or("kubernetes")
}

/// What is not between two neighbours, and the upgrade that is asked for or agreed on, if there is one.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    for name in named.flat_map(|names| names.split(',')) {
        kept.remove(name.trim());
    }
    for name in HOP_BY_HOP {
        kept.remove(name);
    }
    if let Some(protocol) = headers.get(header::UPGRADE) {
        kept.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        kept.insert(header::UPGRADE, protocol.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let one = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        headers.iter().map(one).collect()
    }

    #[test]
    fn what_is_between_neighbours_and_who_the_client_is_stays_here() {
        let uri = "/api/v1/namespaces/a/pods/b/proxy/c?d=e".parse().unwrap();
        let headers = map(&[
            ("host", "127.0.0.1:6443"),
            ("authorization", "Bearer secret"),
            ("connection", "keep-alive, x-own"),
            ("x-own", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("cookie", "kept"),
        ]);
        let expected = map(&[
            ("host", "127.0.0.1:6443"),
            ("cookie", "kept"),
            ("x-forwarded-host", "127.0.0.1:6443"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-uri", "/api/v1/namespaces/a/pods/b/proxy/c"),
        ]);
        assert_eq!(onwards(&headers, &uri), expected);
    }

    #[test]
    fn an_upgrade_is_asked_for_again() {
        let headers = map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("host", "h")]);
        let kept = onwards(&headers, &"/x".parse().unwrap());
        assert_eq!((&kept["connection"], &kept["upgrade"]), (&"Upgrade".parse().unwrap(), &headers["upgrade"]));
    }

    #[test]
    fn redirects_lead_where_the_client_finds_them() {
        let prefix = "/api/v1/namespaces/a/pods/b/proxy";
        for (location, expected) in [
            ("/login?next=/", "/api/v1/namespaces/a/pods/b/proxy/login?next=/"),
            ("https://host:6443/login", "/api/v1/namespaces/a/pods/b/proxy/login"),
            ("https://elsewhere/login", "https://elsewhere/login"),
            ("//elsewhere/login", "//elsewhere/login"),
            ("next", "next"),
            ("/api/v1/namespaces/a/pods/b/proxy/x", "/api/v1/namespaces/a/pods/b/proxy/x"),
        ] {
            let headers = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_static(location))]);
            assert_eq!(back(&headers, prefix, "host:6443")[header::LOCATION], expected, "{location}");
        }
    }
}
