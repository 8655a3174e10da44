//! One type of the tables as a JSON schema.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::document::{Dialect, Document};
use crate::shape::{Content, Description, Field, Shape, Topology, TypeRef};

/// A named type with its fields and kinds.
pub(super) struct NamedType<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) ty: TypeRef,
}

impl Serialize for NamedType<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { document, ty } = *self;
        let mut schema = serializer.serialize_map(None)?;
        describe::<S>(&mut schema, document, document.schemas.ty(ty).description)?;
        match document.schemas.ty(ty).content {
            Content::Alias(shape) => write_shape::<S>(&mut schema, document, shape)?,
            Content::Struct(_) => write_fields::<S>(&mut schema, document, document.schemas.fields(ty))?,
        }
        let kinds: Vec<Value> = document.schemas.kinds_of(ty).map(group_version_kind).collect();
        if !kinds.is_empty() {
            schema.serialize_entry("x-kubernetes-group-version-kind", &kinds)?;
        }
        schema.end()
    }
}

pub(super) fn group_version_kind((group, version, kind): (&str, &str, &str)) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

fn write_fields<S: Serializer>(
    schema: &mut S::SerializeMap,
    document: &Document<'_>,
    fields: &[Field],
) -> Result<(), S::Error> {
    schema.serialize_entry("type", "object")?;
    schema.serialize_entry("properties", &Properties { document, fields })?;
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    if !required.is_empty() {
        schema.serialize_entry("required", &required)?;
    }
    Ok(())
}

struct Properties<'d> {
    document: &'d Document<'d>,
    fields: &'d [Field],
}

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let document = self.document;
        serializer.collect_map(self.fields.iter().map(|field| (field.name, Property { document, field })))
    }
}

struct Property<'d> {
    document: &'d Document<'d>,
    field: &'d Field,
}

impl Serialize for Property<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { document, field } = *self;
        let mut schema = serializer.serialize_map(None)?;
        describe::<S>(&mut schema, document, field.description)?;
        match (document.dialect, field.shape) {
            // OpenAPI 3 ignores what stands beside a $ref.
            (Dialect::V3, Shape::Ref(_)) => {
                schema.serialize_entry("allOf", &[Inner { document, shape: field.shape }])?
            }
            (_, shape) => write_shape::<S>(&mut schema, document, shape)?,
        }
        write_merging::<S>(&mut schema, field)?;
        schema.end()
    }
}

/// How lists and maps are merged, for clients that compute patches.
fn write_merging<S: Serializer>(schema: &mut S::SerializeMap, field: &Field) -> Result<(), S::Error> {
    match (field.topology, field.shape) {
        (Topology::ListMap(keys), _) => {
            schema.serialize_entry("x-kubernetes-list-type", "map")?;
            schema.serialize_entry("x-kubernetes-list-map-keys", &keys.split(',').collect::<Vec<_>>())?;
        }
        (Topology::Set, _) => schema.serialize_entry("x-kubernetes-list-type", "set")?,
        (Topology::AtomicMap, _) => schema.serialize_entry("x-kubernetes-map-type", "atomic")?,
        (Topology::Default, Shape::List(_)) => schema.serialize_entry("x-kubernetes-list-type", "atomic")?,
        (Topology::Default, _) => {}
    }
    if !field.patch.name.is_empty() {
        schema.serialize_entry("x-kubernetes-patch-strategy", field.patch.name)?;
    }
    match field.patch.merge_key {
        Some(key) => schema.serialize_entry("x-kubernetes-patch-merge-key", key),
        None => Ok(()),
    }
}

/// A shape inside another one.
pub(super) struct Inner<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) shape: Shape,
}

impl Serialize for Inner<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut schema = serializer.serialize_map(None)?;
        write_shape::<S>(&mut schema, self.document, self.shape)?;
        schema.end()
    }
}

fn write_shape<S: Serializer>(
    schema: &mut S::SerializeMap,
    document: &Document<'_>,
    shape: Shape,
) -> Result<(), S::Error> {
    match shape {
        Shape::Ref(ty) => schema.serialize_entry("$ref", &document.dialect.reference(document.schemas.name(ty))),
        Shape::List(of) => {
            schema.serialize_entry("type", "array")?;
            schema.serialize_entry("items", &Inner { document, shape: document.schemas.inner(of) })
        }
        Shape::Map(of) => {
            schema.serialize_entry("type", "object")?;
            schema.serialize_entry("additionalProperties", &Inner { document, shape: document.schemas.inner(of) })
        }
        Shape::Quantity | Shape::IntOrString => write_either::<S>(schema, document.dialect, shape),
        scalar => write_scalar::<S>(schema, scalar),
    }
}

/// Version 2 has no word for two types.
fn write_either<S: Serializer>(schema: &mut S::SerializeMap, dialect: Dialect, shape: Shape) -> Result<(), S::Error> {
    let number = if shape == Shape::IntOrString { "integer" } else { "number" };
    if shape == Shape::IntOrString {
        schema.serialize_entry("format", "int-or-string")?;
    }
    match dialect {
        Dialect::V2 => schema.serialize_entry("type", "string"),
        Dialect::V3 => schema.serialize_entry("oneOf", &json!([{"type": number}, {"type": "string"}])),
    }
}

fn write_scalar<S: Serializer>(schema: &mut S::SerializeMap, shape: Shape) -> Result<(), S::Error> {
    let (name, format) = match shape {
        Shape::Object => ("object", ""),
        Shape::Boolean => ("boolean", ""),
        Shape::Int32 => ("integer", "int32"),
        Shape::Int64 => ("integer", "int64"),
        Shape::Double => ("number", "double"),
        Shape::Byte => ("string", "byte"),
        Shape::Time | Shape::MicroTime => ("string", "date-time"),
        Shape::String => ("string", ""),
        // Any, and what is written elsewhere: without a type, everything fits.
        _ => return Ok(()),
    };
    if !format.is_empty() {
        schema.serialize_entry("format", format)?;
    }
    schema.serialize_entry("type", name)
}

fn describe<S: Serializer>(
    schema: &mut S::SerializeMap,
    document: &Document<'_>,
    description: Option<Description>,
) -> Result<(), S::Error> {
    let Some(description) = description else { return Ok(()) };
    match serde_json::from_str::<&RawValue>(document.descriptions.json(description)) {
        Ok(json) => schema.serialize_entry("description", json),
        Err(_) => Ok(()),
    }
}
