//! Reads Ingresses into what the routing table knows. Whatever the API server would refuse is left out.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, Ingress, IngressBackend, IngressClass, IngressRule, IngressTLS,
};
use kube::ResourceExt;

use crate::follow::Watched;
use crate::objects;
use crate::table::ObjectName;

/// Where the class stood before it had a field of its own.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
/// Why a backend is none.
pub(crate) const NO_SERVICE: &str = "the rule's backend is no Service: this gateway serves Services only";

/// What one Ingress asks for.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) name: ObjectName,
    pub(crate) class: Option<String>,
    /// Where two Ingresses say the same, the lesser has it.
    pub(crate) age: (Option<String>, ObjectName),
    pub(crate) default_backend: Option<Backend>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) tls: Vec<Tls>,
}

/// The paths of one host.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) host: Host,
    pub(crate) paths: Vec<(PathMatch, Backend)>,
}

/// Which hosts a rule is for; in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    Any,
    Exact(String),
    /// What stands behind `*.`
    Wildcard(String),
}

/// Which paths a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PathMatch {
    Exact(String),
    /// Element by element. Kept as the rule has it; a slash at its end means nothing.
    Prefix(String),
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Backend {
    Service {
        service: ObjectName,
        port: PortOf,
    },
    /// Something that this gateway does not serve, and why.
    Unserved(&'static str),
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PortOf {
    Number(u16),
    Name(Arc<str>),
}

/// A certificate, and the hosts that it is shown to.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    pub(crate) hosts: Vec<Host>,
    pub(crate) secret: ObjectName,
}

/// Reads one Ingress.
pub(crate) fn read(ingress: &Ingress) -> Rules {
    let name = objects::name(&ingress.metadata);
    let made = ingress.metadata.creation_timestamp.as_ref().map(|time| time.0.to_string());
    let spec = ingress.spec.clone().unwrap_or_default();
    let rules: Vec<Rule> = spec.rules.iter().flatten().map(|rule| self::rule(&name, rule)).collect();
    let annotation = || ingress.annotations().get(CLASS_ANNOTATION).cloned();
    Rules {
        class: spec.ingress_class_name.or_else(annotation),
        age: (made, name.clone()),
        default_backend: spec.default_backend.as_ref().map(|backend| self::backend(&name, backend)),
        tls: spec.tls.iter().flatten().filter_map(|tls| self::tls(&name, tls, &rules)).collect(),
        rules,
        name,
    }
}

fn rule(ingress: &ObjectName, rule: &IngressRule) -> Rule {
    let paths = rule.http.iter().flat_map(|http| &http.paths);
    let path = |path: &HTTPIngressPath| (path_match(path), backend(ingress, &path.backend));
    Rule { host: Host::parse(rule.host.as_deref().unwrap_or_default()), paths: paths.map(path).collect() }
}

/// What is specific to the implementation is here a prefix, as in most others.
fn path_match(path: &HTTPIngressPath) -> PathMatch {
    let text = path.path.clone().unwrap_or_default();
    match path.path_type.as_str() {
        "Exact" => PathMatch::Exact(text),
        _ => PathMatch::Prefix(text),
    }
}

fn backend(ingress: &ObjectName, backend: &IngressBackend) -> Backend {
    let Some(service) = &backend.service else { return Backend::Unserved(NO_SERVICE) };
    let port = service.port.clone().unwrap_or_default();
    let number = port.number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number != 0);
    let port = match (number, port.name) {
        (Some(number), _) => PortOf::Number(number),
        (None, name) => PortOf::Name(name.unwrap_or_default().into()),
    };
    let service = ObjectName { namespace: ingress.namespace.clone(), name: service.name.as_str().into() };
    Backend::Service { service, port }
}

/// A certificate for which no hosts are named is for those of the rules.
fn tls(ingress: &ObjectName, tls: &IngressTLS, rules: &[Rule]) -> Option<Tls> {
    let secret = tls.secret_name.as_deref().filter(|name| !name.is_empty())?;
    let named: Vec<Host> = tls.hosts.iter().flatten().map(|host| Host::parse(host)).collect();
    let hosts = if named.is_empty() { rules.iter().map(|rule| rule.host.clone()).collect() } else { named };
    Some(Tls { hosts, secret: ObjectName { namespace: ingress.namespace.clone(), name: secret.into() } })
}

impl Host {
    pub(crate) fn parse(text: &str) -> Host {
        let text = text.to_ascii_lowercase();
        match text.strip_prefix("*.") {
            Some(parent) => Host::Wildcard(parent.to_owned()),
            None if text.is_empty() => Host::Any,
            None => Host::Exact(text),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Any => Ok(()),
            Host::Exact(name) => f.write_str(name),
            Host::Wildcard(parent) => write!(f, "*.{parent}"),
        }
    }
}

impl fmt::Display for PortOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortOf::Number(number) => number.fmt(f),
            PortOf::Name(name) => name.fmt(f),
        }
    }
}

impl PathMatch {
    /// As the rule has it.
    pub(crate) fn text(&self) -> &str {
        match self {
            PathMatch::Exact(text) | PathMatch::Prefix(text) => text,
        }
    }

    /// Of two that match, the heavier wins: the longer, and of two of the same length the exact one.
    pub(crate) fn weight(&self) -> (usize, bool) {
        match self {
            PathMatch::Exact(text) => (text.len(), true),
            PathMatch::Prefix(text) => (elements(text).len(), false),
        }
    }

    /// The path is taken as it was sent: a byte that is written as `%2F` is no slash.
    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            PathMatch::Exact(text) => text == path,
            PathMatch::Prefix(text) => {
                path.strip_prefix(elements(text)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

fn elements(prefix: &str) -> &str {
    prefix.strip_suffix('/').unwrap_or(prefix)
}

/// What a watch of Ingresses changes.
#[derive(Debug)]
pub(crate) enum IngressChange {
    Present(Box<Rules>),
    Gone(ObjectName),
}

impl Watched for Ingress {
    type Change = IngressChange;

    fn present(&self) -> IngressChange {
        IngressChange::Present(Box::new(read(self)))
    }

    fn gone(name: ObjectName) -> IngressChange {
        IngressChange::Gone(name)
    }
}

/// What a watch of IngressClasses changes: which controller serves a class.
#[derive(Debug)]
pub(crate) enum ClassChange {
    Present(String, String),
    Gone(String),
}

impl Watched for IngressClass {
    type Change = ClassChange;

    fn present(&self) -> ClassChange {
        let controller = self.spec.as_ref().and_then(|spec| spec.controller.clone());
        ClassChange::Present(self.name_any(), controller.unwrap_or_default())
    }

    fn gone(name: ObjectName) -> ClassChange {
        ClassChange::Gone(name.name.to_string())
    }
}
