//! Selectors: which objects a client or a controller means.

mod field;
mod label;
mod object;

pub use field::FieldSelector;
pub use label::{LabelSelector, Requirement};
pub(crate) use object::validate as validate_label_selector;

/// A selector that cannot be read; the text says what was expected and found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub(crate) String);
