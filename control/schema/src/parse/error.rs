//! What can be wrong with an object, in Kubernetes' words.

use std::fmt;

/// Why JSON is no object of its type: a `BadRequest`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The bytes are not one JSON document.
    #[error("the object provided is not valid JSON: {0}")]
    Syntax(String),
    /// A value is not of its field's type.
    #[error("{kind} in version {version:?} cannot be handled as a {kind}: {message}")]
    Type {
        /// As in `Pod`.
        kind: &'static str,
        /// As in `v1`.
        version: &'static str,
        /// What is wrong and where.
        message: String,
    },
}

/// A field that Kubernetes warns about, or refuses under strict validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldProblem {
    /// The type has no such field. The text is its path, as in `spec.containers[0].foo`.
    Unknown(String),
    /// The object has this field twice; the last one counts.
    Duplicate(String),
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(path) => write!(f, "unknown field \"{path}\""),
            Self::Duplicate(path) => write!(f, "duplicate field \"{path}\""),
        }
    }
}
