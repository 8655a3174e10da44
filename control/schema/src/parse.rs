//! Reads an object as its type says: one pass, with the problems Kubernetes would report.

mod error;
mod path;
mod visit;

use serde::de::DeserializeSeed;
use serde_json::{Deserializer, Value};

pub use self::error::{FieldProblem, ParseError};

use self::path::Path;
use self::visit::{Context, Node};
use crate::shape::{Shape, TypeRef};
use crate::tables::Schemas;

/// An object that fits its type.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// Without unknown fields and without nulls where the type has a field.
    pub object: Value,
    /// Unknown and duplicate fields in the order they were met: what `fieldValidation` decides about.
    pub problems: Vec<FieldProblem>,
}

impl Schemas {
    /// Reads JSON as an object of the type.
    ///
    /// # Errors
    /// [`ParseError`], which is a `BadRequest` in Kubernetes' words: no JSON, wrong JSON types, numbers out of range.
    pub fn parse(&self, ty: TypeRef, json: &[u8]) -> Result<Parsed, ParseError> {
        let mut context = Context::new(self, ty);
        let mut deserializer = Deserializer::from_slice(json);
        let node = Node { context: &mut context, path: &Path::Root, shape: Shape::Ref(ty) };
        let object = node.deserialize(&mut deserializer).and_then(|object| deserializer.end().map(|()| object));
        context.finish(object)
    }

    /// Reads an object that is in memory already, as a patch leaves it.
    ///
    /// # Errors
    /// As [`Schemas::parse`].
    pub fn parse_value(&self, ty: TypeRef, object: Value) -> Result<Parsed, ParseError> {
        let mut context = Context::new(self, ty);
        let node = Node { context: &mut context, path: &Path::Root, shape: Shape::Ref(ty) };
        let object = node.deserialize(object);
        context.finish(object)
    }
}

/// Reads JSON without a type, as a patch is read: reports duplicate fields, which a plain reader would lose.
///
/// # Errors
/// [`ParseError::Syntax`].
pub fn parse_untyped(json: &[u8]) -> Result<Parsed, ParseError> {
    let mut context = Context::untyped();
    let mut deserializer = Deserializer::from_slice(json);
    let node = Node { context: &mut context, path: &Path::Root, shape: Shape::Any };
    let object = node.deserialize(&mut deserializer).and_then(|object| deserializer.end().map(|()| object));
    context.finish(object)
}

#[cfg(test)]
mod tests;
