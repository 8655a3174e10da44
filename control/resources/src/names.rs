//! The grammars of names, label keys, label values, and the like, with Kubernetes' words for what breaks them.
//!
//! Each check answers with what is wrong; nothing wrong is an empty list.

const DNS_LABEL_LIMIT: usize = 63;
const DNS_SUBDOMAIN_LIMIT: usize = 253;

const DNS1123_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS1123_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const WILDCARD_DNS1123_SUBDOMAIN: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const URL_PATH: &str = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
const DNS1035_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED_NAME: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const ENV_NAME: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";

/// A label of RFC 1123, such as a namespace's or a container's name.
pub(crate) fn dns1123_label(value: &str) -> Vec<String> {
    problems(value, DNS_LABEL_LIMIT, is_dns1123_label(value), DNS1123_LABEL)
}

/// A subdomain of RFC 1123, such as most objects' names.
pub(crate) fn dns1123_subdomain(value: &str) -> Vec<String> {
    let fits = value.split('.').all(is_dns1123_label);
    problems(value, DNS_SUBDOMAIN_LIMIT, fits, DNS1123_SUBDOMAIN)
}

/// All subdomains of one of RFC 1123: `*.example.com`.
pub(crate) fn wildcard_dns1123_subdomain(value: &str) -> Vec<String> {
    let fits = value.strip_prefix("*.").is_some_and(|parent| parent.split('.').all(is_dns1123_label));
    problems(value, DNS_SUBDOMAIN_LIMIT, fits, WILDCARD_DNS1123_SUBDOMAIN)
}

/// What can stand between two slashes of a URL of the API.
pub(crate) fn path_segment(value: &str) -> Vec<String> {
    if matches!(value, "." | "..") {
        return vec![format!("may not be '{value}'")];
    }
    let illegal = ["/", "%"].into_iter().filter(|illegal| value.contains(illegal));
    illegal.map(|illegal| format!("may not contain '{illegal}'")).collect()
}

/// The path of a URL.
pub(crate) fn url_path(value: &str) -> Vec<String> {
    let fits =
        !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c));
    if fits { Vec::new() } else { vec![URL_PATH.to_owned()] }
}

/// A label of RFC 1035, such as a Service's name.
pub(crate) fn dns1035_label(value: &str) -> Vec<String> {
    let fits = is_dns1123_label(value) && value.starts_with(|c: char| c.is_ascii_lowercase());
    problems(value, DNS_LABEL_LIMIT, fits, DNS1035_LABEL)
}

/// A name with an optional `prefix/`, such as a label's or an annotation's key.
pub(crate) fn qualified_name(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let name = match value.split('/').collect::<Vec<_>>()[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                found.push("prefix part must be non-empty".to_owned());
            } else {
                found.extend(dns1123_subdomain(prefix).iter().map(|problem| format!("prefix part {problem}")));
            }
            name
        }
        _ => {
            return vec![format!(
                "a qualified name {QUALIFIED_NAME} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        found.push("name part must be non-empty".to_owned());
    }
    found.extend(
        problems(name, DNS_LABEL_LIMIT, is_qualified(name), QUALIFIED_NAME).iter().map(|p| format!("name part {p}")),
    );
    found
}

/// The value of a label.
pub(crate) fn label_value(value: &str) -> Vec<String> {
    problems(value, DNS_LABEL_LIMIT, value.is_empty() || is_qualified(value), LABEL_VALUE)
}

/// A key of a ConfigMap or Secret.
pub(crate) fn config_key(value: &str) -> Vec<String> {
    let fits = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    let mut found = problems(value, DNS_SUBDOMAIN_LIMIT, fits, CONFIG_KEY);
    match value {
        "." => found.push("must not be '.'".to_owned()),
        ".." => found.push("must not be '..'".to_owned()),
        _ if value.starts_with("..") => found.push("must not start with '..'".to_owned()),
        _ => {}
    }
    found
}

/// The name of an environment variable.
pub(crate) fn env_name(value: &str) -> Vec<String> {
    let fits = !value.is_empty() && value.chars().all(|c| (' '..='~').contains(&c) && c != '=');
    if fits { Vec::new() } else { vec![ENV_NAME.to_owned()] }
}

/// A port's number.
pub(crate) fn port_number(port: i64) -> Vec<String> {
    if (1..=65535).contains(&port) { Vec::new() } else { vec![in_range(1, 65535)] }
}

/// The name of a port (IANA service name), such as `http`.
pub(crate) fn port_name(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    if value.len() > 15 {
        found.push("must be no more than 15 characters".to_owned());
    }
    if !value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        found.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !value.chars().any(|c| c.is_ascii_lowercase()) {
        found.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        found.push("must not contain consecutive hyphens".to_owned());
    }
    if value.starts_with('-') || value.ends_with('-') {
        found.push("must not begin or end with a hyphen".to_owned());
    }
    found
}

/// What a number outside its range is told.
pub(crate) fn in_range(least: i64, most: i64) -> String {
    format!("must be between {least} and {most}, inclusive")
}

fn problems(value: &str, limit: usize, fits: bool, grammar: &str) -> Vec<String> {
    let mut found = Vec::new();
    if value.len() > limit {
        found.push(format!("must be no more than {limit} bytes"));
    }
    if !fits {
        found.push(grammar.to_owned());
    }
    found
}

fn is_dns1123_label(value: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    value.starts_with(inner) && value.ends_with(inner) && value.chars().all(|c| inner(c) || c == '-')
}

fn is_qualified(value: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    value.starts_with(ends) && value.ends_with(ends) && value.chars().all(|c| ends(c) || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammars_accept_and_refuse() {
        type Check = fn(&str) -> Vec<String>;
        let cases: &[(Check, &[&str], &[&str])] = &[
            (dns1123_label, &["a", "my-name", "123-abc"], &["", "A", "a.b", "-a", "a-", "a_b", "é"]),
            (dns1123_subdomain, &["a", "example.com", "1.2"], &["", "a..b", ".a", "a.", "A.b"]),
            (wildcard_dns1123_subdomain, &["*.a", "*.example.com"], &["*", "*.", "a.*", "**.a", "*.A", "a.b"]),
            (path_segment, &["a", "a.b", "A b"], &[".", "..", "a/b", "a%2f"]),
            (url_path, &["a", "foo/bar", "a:b"], &["", "a b", "é"]),
            (dns1035_label, &["a", "abc-123"], &["", "1a", "a.b", "a-"]),
            (qualified_name, &["app", "My.Name", "example.com/app_1"], &["", "/a", "a/", "a/b/c", "-a", "A b/c"]),
            (label_value, &["", "MyValue", "a.b_c-d"], &["-a", "a b", "a/"]),
            (config_key, &["key.name", "KEY_NAME", "..data-x"], &["", "a b", ".", "..", "a/b"]),
            (env_name, &["PATH", "a.b-c", "1x"], &["", "a=b", "a\nb"]),
            (port_name, &["http", "a-1"], &["", "1", "a--b", "-a", "this-is-far-too-long", "HTTP"]),
        ];
        for (check, good, bad) in cases {
            for value in *good {
                let expected_dots = *value == "..data-x";
                assert_eq!(check(value).is_empty(), !expected_dots, "{value:?}: {:?}", check(value));
            }
            for value in *bad {
                assert!(!check(value).is_empty(), "{value:?} was accepted");
            }
        }
    }

    #[test]
    fn lengths_are_limited() {
        let long = "a".repeat(64);
        assert_eq!(dns1123_label(&long), ["must be no more than 63 bytes"]);
        assert_eq!(label_value(&long), ["must be no more than 63 bytes"]);
        assert!(dns1123_subdomain(&long).is_empty());
        assert_eq!(dns1123_subdomain(&"a".repeat(254)), ["must be no more than 253 bytes"]);
    }
}
