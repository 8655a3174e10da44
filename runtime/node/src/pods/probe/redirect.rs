//! Where a `Location` leads (RFC 3986, section 5.2).

use http::Uri;

/// Where an answer sends the asker.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) uri: Uri,
    /// It was given with its host.
    pub(super) is_absolute: bool,
}

/// `location`, seen from `base`; nothing, if it is none.
pub(super) fn resolve(base: &Uri, location: &str) -> Option<Target> {
    let location = location.split_once('#').map_or(location, |(before, _)| before);
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let here = |path: String| format!("{scheme}://{authority}{path}");
    let (text, is_absolute) = match location {
        full if has_scheme(full) => (full.to_owned(), true),
        other if other.starts_with("//") => (format!("{scheme}:{other}"), true),
        path if path.starts_with('/') => (here(without_dots(path)), false),
        "" => (base.to_string(), false),
        query if query.starts_with('?') => (here(format!("{}{query}", base.path())), false),
        relative => {
            let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            (here(without_dots(&format!("{folder}/{relative}"))), false)
        }
    };
    text.parse().ok().map(|uri| Target { uri, is_absolute })
}

/// Whether it begins with `scheme:`, before any part of a path.
fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    let mut chars = scheme.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic())
        && chars.all(|char| char.is_ascii_alphanumeric() || matches!(char, '+' | '-' | '.'))
}

/// A path, and maybe a query behind it, without `.` and `..`.
fn without_dots(text: &str) -> String {
    let (path, query) = text.find('?').map_or((text, ""), |at| text.split_at(at));
    let mut parts: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    parts.pop();
                }
                if is_last {
                    parts.push("");
                }
            }
            other => parts.push(other),
        }
    }
    format!("/{}{query}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved_as_the_rfc_says() {
        let base: Uri = "http://10.0.0.1:8080/b/c/d?q".parse().unwrap();
        for (location, expected, is_absolute) in [
            ("http://other/x", "http://other/x", true),
            ("https://10.0.0.1:8443/", "https://10.0.0.1:8443/", true),
            ("//other:81/y", "http://other:81/y", true),
            ("/g?y", "http://10.0.0.1:8080/g?y", false),
            ("?y", "http://10.0.0.1:8080/b/c/d?y", false),
            ("g", "http://10.0.0.1:8080/b/c/g", false),
            ("g/", "http://10.0.0.1:8080/b/c/g/", false),
            ("./g#part", "http://10.0.0.1:8080/b/c/g", false),
            ("../g", "http://10.0.0.1:8080/b/g", false),
            ("../../../g", "http://10.0.0.1:8080/g", false),
            ("..", "http://10.0.0.1:8080/b/", false),
            ("g?y=../x", "http://10.0.0.1:8080/b/c/g?y=../x", false),
            ("", "http://10.0.0.1:8080/b/c/d?q", false),
        ] {
            let target = Target { uri: expected.parse().unwrap(), is_absolute };
            assert_eq!(resolve(&base, location), Some(target), "{location}");
        }
        assert_eq!(resolve(&base, "http://"), None);
    }
}
