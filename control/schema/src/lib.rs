//! What an object may look like.
//!
//! Tables of every Kubernetes type (names, fields, formats, required fields, descriptions, merge keys), and what follows
//! from them: reading an object with field validation ([`Schemas::parse`], [`Schemas::read_protobuf`]), the patches ([`patch`] and
//! [`Schemas::strategic_merge`]), the `OpenAPI` documents ([`openapi`]).
//!
//! This crate never knows what a field means, never stores anything and never speaks HTTP. Start reading at [`Schemas`];
//! `generate/` beside `src/` writes the tables.

pub mod openapi;
mod parse;
pub mod patch;
mod protobuf;
mod scalar;
mod shape;
mod tables;

pub use parse::{FieldProblem, ParseError, Parsed, parse_untyped};
pub use protobuf::ProtobufError;
pub use shape::TypeRef;
pub use tables::Schemas;
