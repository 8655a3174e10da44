//! `[SCHEME:]NAME[:PORT]`, as the names of what is proxied to are written.

use crate::status::Status;

/// What is spoken with whoever is proxied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// A name with how and where it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) scheme: Scheme,
    pub(super) name: &'a str,
    /// A number or, of a Service, a name; empty for the one that is meant by itself.
    pub(super) port: &'a str,
}

impl<'a> Name<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Status> {
        let invalid = || Status::bad_request(format!("invalid name {text:?}: it is written [SCHEME:]NAME[:PORT]"));
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => return Err(invalid()),
        };
        let scheme = match scheme {
            "" | "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(invalid()),
        };
        if name.is_empty() { Err(invalid()) } else { Ok(Self { scheme, name, port }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_scheme_and_a_port_or_neither() {
        for (text, expected) in [
            ("web", Some((Scheme::Http, "web", ""))),
            ("web:80", Some((Scheme::Http, "web", "80"))),
            ("http:web:http", Some((Scheme::Http, "web", "http"))),
            ("https:web:", Some((Scheme::Https, "web", ""))),
            (":web:80", Some((Scheme::Http, "web", "80"))),
            ("ftp:web:21", None),
            (":80", None),
            ("a:b:c:d", None),
            ("", None),
        ] {
            let found = Name::parse(text).ok().map(|found| (found.scheme, found.name, found.port));
            assert_eq!(found, expected, "{text}");
        }
    }
}
