use crate::Path;
use serde::Serialize;
use serde_json::Value;

/// One reason for which an object is refused, as it stands in a `Status`' `details.causes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The kind of mistake: `FieldValueRequired`, `FieldValueInvalid`, `FieldValueNotSupported`, `FieldValueDuplicate`,
    /// `FieldValueForbidden`, `FieldValueNotFound`, `FieldValueTooLong`, `FieldValueTooMany`, `FieldValueTypeInvalid`.
    pub reason: &'static str,
    /// What is wrong, in Kubernetes' words, without the field: `Invalid value: "x": must be …`.
    pub message: String,
    /// Where, such as `spec.containers[0].name`.
    pub field: String,
}

impl Cause {
    /// The field must be set. `detail` may be empty.
    pub fn required(path: &Path, detail: &str) -> Cause {
        Cause::new("FieldValueRequired", path, with_detail("Required value".to_owned(), detail))
    }

    /// The field's value is wrong.
    pub fn invalid(path: &Path, value: impl Into<Value>, detail: &str) -> Cause {
        let message = format!("Invalid value: {}", value.into());
        Cause::new("FieldValueInvalid", path, with_detail(message, detail))
    }

    /// The field's value is none of the known ones.
    pub fn not_supported(path: &Path, value: impl Into<Value>, supported: &[&str]) -> Cause {
        let mut supported: Vec<String> = supported.iter().map(|one| format!("\"{one}\"")).collect();
        supported.sort();
        let message = format!("Unsupported value: {}: supported values: {}", value.into(), supported.join(", "));
        Cause::new("FieldValueNotSupported", path, message)
    }

    /// The value stands there already.
    pub fn duplicate(path: &Path, value: impl Into<Value>) -> Cause {
        Cause::new("FieldValueDuplicate", path, format!("Duplicate value: {}", value.into()))
    }

    /// The field may not be set, or not be set so.
    pub fn forbidden(path: &Path, detail: &str) -> Cause {
        Cause::new("FieldValueForbidden", path, with_detail("Forbidden".to_owned(), detail))
    }

    /// What the field refers to is not in the object.
    pub fn not_found(path: &Path, value: impl Into<Value>) -> Cause {
        Cause::new("FieldValueNotFound", path, format!("Not found: {}", value.into()))
    }

    /// The field's value has more bytes than it may.
    pub fn too_long(path: &Path, most: usize) -> Cause {
        Cause::new("FieldValueTooLong", path, format!("Too long: may not be more than {most} bytes"))
    }

    /// The list has more items than it may.
    pub fn too_many(path: &Path, count: usize, most: usize) -> Cause {
        let message = format!("Too many: {count}: must have at most {most} items");
        Cause::new("FieldValueTooMany", path, message)
    }

    fn new(reason: &'static str, path: &Path, message: String) -> Cause {
        Cause { reason, message, field: path.to_string() }
    }
}

fn with_detail(message: String, detail: &str) -> String {
    if detail.is_empty() { message } else { format!("{message}: {detail}") }
}

/// Collects the causes of many checks at one place in an object.
#[derive(Default)]
pub(crate) struct Causes(Vec<Cause>);

impl Causes {
    pub(crate) fn push(&mut self, cause: Cause) {
        self.0.push(cause);
    }

    pub(crate) fn extend(&mut self, causes: impl IntoIterator<Item = Cause>) {
        self.0.extend(causes);
    }

    /// One cause of `FieldValueInvalid` for each detail.
    pub(crate) fn invalid_each(&mut self, path: &Path, value: &str, details: Vec<String>) {
        self.extend(details.iter().map(|detail| Cause::invalid(path, value, detail)));
    }

    /// Refuses a non-empty value that is none of `supported`.
    pub(crate) fn one_of(&mut self, path: &Path, value: &str, supported: &[&str]) {
        if !supported.contains(&value) {
            self.push(Cause::not_supported(path, value, supported));
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Cause> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_as_kubernetes_writes_them() {
        let path = Path::new("spec.containers").index(0).child("name");
        let cases = [
            (Cause::required(&path, ""), "Required value"),
            (Cause::required(&path, "say one"), "Required value: say one"),
            (Cause::invalid(&path, "A\"", "no"), r#"Invalid value: "A\"": no"#),
            (Cause::invalid(&path, -1, "must be positive"), "Invalid value: -1: must be positive"),
            (Cause::not_supported(&path, "x", &["b", "a"]), r#"Unsupported value: "x": supported values: "a", "b""#),
            (Cause::duplicate(&path, "x"), r#"Duplicate value: "x""#),
            (Cause::forbidden(&path, "field is immutable"), "Forbidden: field is immutable"),
            (Cause::not_found(&path, "x"), r#"Not found: "x""#),
            (Cause::too_long(&path, 63), "Too long: may not be more than 63 bytes"),
            (Cause::too_many(&path, 4, 3), "Too many: 4: must have at most 3 items"),
        ];
        for (cause, message) in cases {
            assert_eq!(cause.message, message);
            assert_eq!(cause.field, "spec.containers[0].name");
        }
    }
}
