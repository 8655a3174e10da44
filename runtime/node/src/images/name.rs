//! Names of images, as OCI references write them.

/// What is wrong with an image's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not an image name: {reason}")]
pub struct NameError {
    name: String,
    reason: &'static str,
}

/// The name with its tag: `hello` becomes `hello:latest`, as everywhere else images are named.
pub(super) fn normalize(name: &str) -> Result<String, NameError> {
    check(name).map_err(|reason| NameError { name: name.to_owned(), reason })?;
    Ok(match tag(name) {
        Some(_) => name.to_owned(),
        None => format!("{name}:latest"),
    })
}

fn check(name: &str) -> Result<(), &'static str> {
    let tag = tag(name);
    let repository = &name[..name.len() - tag.map_or(0, |tag| tag.len() + 1)];
    if repository.is_empty() {
        return Err("it is empty");
    }
    if name.len() > 255 {
        return Err("it is longer than 255 characters");
    }
    if name.contains('@') {
        return Err("a digest is not a name; write name or name:tag");
    }
    if !repository.split('/').all(|part| !part.is_empty() && part.chars().all(is_repository)) {
        return Err("use lower-case letters, digits, '.', '_', '-' and '/'");
    }
    match tag {
        Some(tag) if tag.is_empty() || tag.len() > 128 || !tag.chars().all(is_tag) => {
            Err("its tag must be 1 to 128 letters, digits, '.', '_' or '-'")
        }
        _ => Ok(()),
    }
}

/// What stands after the last colon, unless that colon belongs to a registry's port.
fn tag(name: &str) -> Option<&str> {
    name.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'))
}

fn is_repository(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || "._-:".contains(c)
}

fn is_tag(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn names_get_a_tag() {
        for (given, expected) in [
            ("hello", "hello:latest"),
            ("hello:1.2", "hello:1.2"),
            ("registry:5000/team/hello", "registry:5000/team/hello:latest"),
            ("registry:5000/team/hello:V1", "registry:5000/team/hello:V1"),
        ] {
            assert_eq!(normalize(given).unwrap(), expected);
        }
    }

    #[test]
    fn bad_names_say_why() {
        for (given, expected) in [
            ("", "it is empty"),
            (":1", "it is empty"),
            ("Hello", "lower-case"),
            ("he llo", "lower-case"),
            ("hello:", "its tag"),
            ("../hello//x", "lower-case"),
            ("hello@sha256:00", "a digest"),
        ] {
            let message = normalize(given).unwrap_err().to_string();
            assert!(message.contains(expected), "{given:?}: {message}");
        }
    }
}
