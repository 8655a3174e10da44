//! From a path to what stands there.

use http::Method;

use super::Query;

/// The subresource behind which a path leads on.
pub(crate) const PROXY: &str = "proxy";

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/healthz`, `/livez`, `/readyz` and the single checks below them.
    Health,
    /// `/version`.
    Version,
    /// `/metrics`.
    Metrics,
    /// An OpenAPI document.
    OpenApi(Document),
    /// How others check the cluster's tokens.
    OpenId(OpenId),
    /// A list of what is served.
    Discovery(Discovery),
    /// Objects.
    Resource(Address),
    /// Nothing.
    Unknown,
}

/// An OpenAPI document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Document {
    /// `/openapi/v2`: everything, as Swagger 2.0.
    V2,
    /// `/openapi/v3`: where the document of each group version is.
    Index,
    /// `/openapi/v3/apis/apps/v1`, by what follows `/openapi/v3/`.
    V3(String),
}

/// A document of OpenID Connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenId {
    /// `/.well-known/openid-configuration`.
    Configuration,
    /// `/openid/v1/jwks`.
    Keys,
}

/// A level of discovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// `/`: the paths there are.
    Paths,
    /// `/api`.
    Core,
    /// `/apis`.
    Groups,
    /// `/apis/apps`.
    Group(String),
    /// `/api/v1` (with an empty group) or `/apis/apps/v1`.
    Resources(String, String),
}

/// Where objects stand. What is not in the path is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    /// What follows `/proxy`, as it stands in the path: nothing, or what begins with a slash.
    pub(crate) rest: String,
}

impl Target {
    /// Reads a request's path. A segment that is not valid percent-encoded UTF-8 names nothing.
    pub(crate) fn parse(path: &str) -> Self {
        let (path, rest) = split_proxied(path);
        match Self::whole(path) {
            Self::Resource(address) => Self::Resource(Address { rest: rest.to_owned(), ..address }),
            other => other,
        }
    }

    fn whole(path: &str) -> Self {
        let Some(segments) = segments(path) else { return Self::Unknown };
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        match parts.as_slice() {
            [] => Self::Discovery(Discovery::Paths),
            ["healthz" | "livez" | "readyz", ..] => Self::Health,
            ["version"] => Self::Version,
            ["metrics"] => Self::Metrics,
            ["openapi", "v2"] => Self::OpenApi(Document::V2),
            ["openapi", "v3"] => Self::OpenApi(Document::Index),
            ["openapi", "v3", rest @ ..] => Self::OpenApi(Document::V3(rest.join("/"))),
            [".well-known", "openid-configuration"] => Self::OpenId(OpenId::Configuration),
            ["openid", "v1", "jwks"] => Self::OpenId(OpenId::Keys),
            ["api"] => Self::Discovery(Discovery::Core),
            ["apis"] => Self::Discovery(Discovery::Groups),
            ["apis", group] => Self::Discovery(Discovery::Group((*group).to_owned())),
            ["api", version] => Self::Discovery(Discovery::Resources(String::new(), (*version).to_owned())),
            ["apis", group, version] => {
                Self::Discovery(Discovery::Resources((*group).to_owned(), (*version).to_owned()))
            }
            ["api", version, rest @ ..] => address("", version, rest),
            ["apis", group, version, rest @ ..] => address(group, version, rest),
            _ => Self::Unknown,
        }
    }
}

impl Address {
    /// Kubernetes' verb for a method on this address. What is proxied has a query of its own.
    pub(crate) fn verb(&self, method: &Method, query: &Query) -> Option<&'static str> {
        let one = !self.name.is_empty();
        let proxied = self.subresource == PROXY;
        Some(match *method {
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if one => "delete",
            Method::DELETE => "deletecollection",
            Method::GET | Method::HEAD | Method::OPTIONS if proxied => "get",
            Method::GET | Method::HEAD if query.flag("watch") => "watch",
            Method::GET | Method::HEAD if one => "get",
            Method::GET | Method::HEAD => "list",
            _ => return None,
        })
    }
}

/// `namespaces` is both a resource and the way into one, so what follows decides.
fn address(group: &str, version: &str, rest: &[&str]) -> Target {
    let at = |namespace: &str, resource: &str, name: &str, subresource: &str| {
        Target::Resource(Address {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: namespace.to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
            rest: String::new(),
        })
    };
    match rest {
        ["namespaces", name, sub @ ("status" | "finalize")] => at(name, "namespaces", name, sub),
        ["namespaces", name] => at(name, "namespaces", name, ""),
        ["namespaces", namespace, resource] => at(namespace, resource, "", ""),
        ["namespaces", namespace, resource, name] => at(namespace, resource, name, ""),
        ["namespaces", namespace, resource, name, sub] => at(namespace, resource, name, sub),
        [resource] => at("", resource, "", ""),
        [resource, name] => at("", resource, name, ""),
        [resource, name, sub] => at("", resource, name, sub),
        _ => Target::Unknown,
    }
}

/// A path that leads on elsewhere in two: what is ours, and what follows, which is not ours to read.
fn split_proxied(path: &str) -> (&str, &str) {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).take(7).collect();
    let own = match segments.as_slice() {
        ["api", _, "nodes", _, PROXY, ..] => 5,
        ["api", _, "namespaces", _, "pods" | "services", _, PROXY] => 7,
        _ => return (path, ""),
    };
    let mut rest = path;
    for _ in 0..own {
        rest = rest.trim_start_matches('/');
        rest = rest.find('/').map_or("", |slash| &rest[slash..]);
    }
    path.split_at(path.len() - rest.len())
}

fn segments(path: &str) -> Option<Vec<String>> {
    path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
}

fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(path: &str) -> (String, String, String, String, String, String) {
        match Target::parse(path) {
            Target::Resource(a) => (a.group, a.version, a.namespace, a.resource, a.name, a.subresource),
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn paths_of_objects() {
        let cases = [
            ("/api/v1/pods", ["", "v1", "", "pods", "", ""]),
            ("/api/v1/namespaces", ["", "v1", "", "namespaces", "", ""]),
            ("/api/v1/namespaces/a", ["", "v1", "a", "namespaces", "a", ""]),
            ("/api/v1/namespaces/a/finalize", ["", "v1", "a", "namespaces", "a", "finalize"]),
            ("/api/v1/namespaces/a/pods/", ["", "v1", "a", "pods", "", ""]),
            ("/api/v1/namespaces/a/pods/b/log", ["", "v1", "a", "pods", "b", "log"]),
            ("/api/v1/nodes/n%3A1/status", ["", "v1", "", "nodes", "n:1", "status"]),
            ("/apis/apps/v1/namespaces/a/deployments/b", ["apps", "v1", "a", "deployments", "b", ""]),
        ];
        for (path, [group, version, namespace, name_of, name, sub]) in cases {
            let expected = [group, version, namespace, name_of, name, sub].map(str::to_owned);
            assert_eq!(<[String; 6]>::from(resource(path)), expected, "{path}");
        }
    }

    #[test]
    fn what_follows_a_proxy_is_kept_as_it_stands() {
        let (pod, service) = ("/api/v1/namespaces/a/pods/b:80/proxy", "/api/v1/namespaces/a/services/b/proxy");
        let node = "/api/v1/nodes/n/proxy";
        for (head, rest) in [
            (node, "/stats/summary"),
            (pod, ""),
            (pod, "/"),
            (service, "//a/%2e%2e/%ff%2/proxy/"),
            ("//api//v1/namespaces/a/services/b/proxy", "/x"),
        ] {
            let path = format!("{head}{rest}");
            let Target::Resource(address) = Target::parse(&path) else { panic!("{path} is no resource") };
            assert_eq!((address.subresource.as_str(), address.rest.as_str()), (PROXY, rest), "{path}");
        }
        for path in ["/api/v1/pods/p/proxy/x", "/api/v1/namespaces/a/configmaps/b/proxy/x"] {
            assert_eq!(Target::parse(path), Target::Unknown, "{path}");
        }
    }

    #[test]
    fn the_query_of_what_is_proxied_is_not_ours() {
        let uri: http::Uri = "/?watch=1".parse().unwrap();
        let query = Query::parse(&uri).unwrap();
        let Target::Resource(address) = Target::parse("/api/v1/namespaces/a/pods/b/proxy/") else { panic!() };
        for (method, verb) in [
            (Method::GET, Some("get")),
            (Method::HEAD, Some("get")),
            (Method::OPTIONS, Some("get")),
            (Method::POST, Some("create")),
            (Method::DELETE, Some("delete")),
            (Method::TRACE, None),
        ] {
            assert_eq!(address.verb(&method, &query), verb, "{method}");
        }
    }

    #[test]
    fn paths_of_everything_else() {
        let cases = [
            ("/", Target::Discovery(Discovery::Paths)),
            ("/api", Target::Discovery(Discovery::Core)),
            ("/apis/apps", Target::Discovery(Discovery::Group("apps".into()))),
            ("/apis/apps/v1", Target::Discovery(Discovery::Resources("apps".into(), "v1".into()))),
            ("/readyz/ping", Target::Health),
            ("/openapi/v3/apis/apps/v1", Target::OpenApi(Document::V3("apis/apps/v1".into()))),
            ("/openid/v1/jwks", Target::OpenId(OpenId::Keys)),
            ("/nothing", Target::Unknown),
            ("/api/v1/a/b/c/d/e/f/g", Target::Unknown),
            ("/api/v1/pods%ff", Target::Unknown),
            ("/api/v1/pods%2", Target::Unknown),
        ];
        for (path, expected) in cases {
            assert_eq!(Target::parse(path), expected, "{path}");
        }
    }
}
