//! The three patches: JSON patch (RFC 6902), merge patch (RFC 7386), strategic merge patch.
//!
//! Each takes the current object and a patch as parsed JSON and answers the new object; neither argument is changed. Whether
//! the result fits its type is for [`crate::Schemas::parse_value`] to say.

mod directives;
mod json;
mod merge;
mod order;
mod strategic;

pub use self::json::json;
pub use self::merge::merge;

/// Why a patch could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch is not of its format: a `BadRequest`.
    #[error("{0}")]
    Malformed(String),
    /// The patch asks for more work than one request may: `RequestEntityTooLarge`.
    #[error("{0}")]
    TooLarge(String),
    /// The patch does not apply to this object: `Invalid` (422).
    #[error("{0}")]
    Unprocessable(String),
}

impl PatchError {
    fn malformed(message: impl Into<String>) -> Self {
        Self::Malformed(message.into())
    }
}

#[cfg(test)]
mod tests;
