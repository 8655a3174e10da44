//! The visitor that is guided by the tables.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::path::Path;
use super::{FieldProblem, ParseError, Parsed};
use crate::scalar;
use crate::shape::{Field, Shape, ShapeRef, TypeRef};
use crate::tables::Schemas;

/// As deep as `serde_json` reads; holds for objects that come from memory too, so that nothing recurses without end.
const MAX_DEPTH: usize = 127;
/// As many as Kubernetes collects: a body of unknown fields must not become a longer list of complaints.
const MAX_PROBLEMS: usize = 100;

pub(super) struct Context<'s> {
    schemas: &'s Schemas,
    root: Option<TypeRef>,
    problems: Vec<FieldProblem>,
    /// What stopped the reader, when it was not the syntax.
    mismatch: Option<String>,
}

impl<'s> Context<'s> {
    pub(super) fn new(schemas: &'s Schemas, root: TypeRef) -> Self {
        Self { schemas, root: Some(root), problems: Vec::new(), mismatch: None }
    }

    pub(super) fn untyped() -> Context<'static> {
        Context { schemas: Schemas::builtin(), root: None, problems: Vec::new(), mismatch: None }
    }

    pub(super) fn finish(self, read: Result<Value, serde_json::Error>) -> Result<Parsed, ParseError> {
        match (read, self.mismatch, self.root) {
            (Ok(object), _, _) => Ok(Parsed { object, problems: self.problems }),
            (Err(_), Some(message), Some(root)) => {
                let ty = self.schemas.ty(root);
                Err(ParseError::Type { kind: ty.short_name(), version: ty.version(), message })
            }
            (Err(error), mismatch, _) => Err(ParseError::Syntax(mismatch.unwrap_or_else(|| error.to_string()))),
        }
    }

    fn problem(&mut self, problem: impl FnOnce() -> FieldProblem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem());
        }
    }
}

/// One value to read: what it should be and where it stands.
pub(super) struct Node<'c, 's, 'p> {
    pub(super) context: &'c mut Context<'s>,
    pub(super) path: &'p Path<'p>,
    pub(super) shape: Shape,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<Value, D::Error> {
        self.shape = self.context.schemas.resolve(self.shape);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    /// A null is no value at all: whoever asked decides.
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        match self.shape {
            Shape::Any | Shape::Boolean => Ok(Value::Bool(value)),
            _ => self.mismatch("bool"),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        match self.shape {
            Shape::Any | Shape::Int64 | Shape::Double => Ok(value.into()),
            Shape::Int32 | Shape::IntOrString if i32::try_from(value).is_ok() => Ok(value.into()),
            Shape::Int32 | Shape::IntOrString => self.mismatch(&format!("number {value}")),
            Shape::Quantity => Ok(Value::String(value.to_string())),
            _ => self.mismatch("number"),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) if matches!(self.shape, Shape::Any | Shape::Double) => Ok(value.into()),
            Err(_) => self.mismatch(&format!("number {value}")),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        match self.shape {
            Shape::Any | Shape::Double => Ok(Number::from_f64(value).map_or(Value::Null, Value::Number)),
            Shape::Quantity => Ok(Value::String(value.to_string())),
            _ => self.mismatch(&format!("number {value}")),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        let text = match self.shape {
            Shape::Any | Shape::String | Shape::IntOrString => Ok(value),
            Shape::Byte => scalar::base64(value),
            Shape::Time => scalar::time(&value),
            Shape::MicroTime => scalar::micro_time(&value),
            Shape::Quantity => scalar::quantity(value),
            _ => return self.mismatch("string"),
        };
        match text {
            Ok(text) => Ok(Value::String(text)),
            Err(message) => self.refuse(message),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Value, A::Error> {
        match self.shape {
            _ if self.path.depth() >= MAX_DEPTH => self.too_deep(),
            Shape::Any => self.list(Shape::Any, items),
            Shape::List(of) => {
                let shape = self.inner(of);
                self.list(shape, items)
            }
            _ => self.mismatch("array"),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Value, A::Error> {
        match self.shape {
            _ if self.path.depth() >= MAX_DEPTH => self.too_deep(),
            Shape::Any | Shape::Object => self.map(Shape::Any, entries),
            Shape::Map(of) => {
                let shape = self.inner(of);
                self.map(shape, entries)
            }
            Shape::Ref(ty) => self.structure(ty, entries),
            _ => self.mismatch("object"),
        }
    }
}

impl Node<'_, '_, '_> {
    fn inner(&self, shape: ShapeRef) -> Shape {
        self.context.schemas.resolve(self.context.schemas.inner(shape))
    }

    fn list<'de, A: SeqAccess<'de>>(self, of: Shape, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = Path::Index { parent: self.path, index: list.len() };
            match items.next_element_seed(Node { context: self.context, path: &path, shape: of })? {
                Some(item) => list.push(or_zero(item, of)),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn map<'de, A: MapAccess<'de>>(self, of: Shape, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = Path::Key { parent: self.path, name: &key };
            let value = entries.next_value_seed(Node { context: self.context, path: &path, shape: of })?;
            if map.contains_key(&key) {
                self.context.problem(|| FieldProblem::Duplicate(self.path.with(&key)));
            }
            map.insert(key, or_zero(value, of));
        }
        Ok(Value::Object(map))
    }

    fn structure<'de, A: MapAccess<'de>>(self, ty: TypeRef, mut entries: A) -> Result<Value, A::Error> {
        let schemas = self.context.schemas;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Some(field) = schemas.field(ty, &key) else {
                entries.next_value::<serde::de::IgnoredAny>()?;
                self.context.problem(|| FieldProblem::Unknown(self.path.with(&key)));
                continue;
            };
            if object.contains_key(&key) {
                self.context.problem(|| FieldProblem::Duplicate(self.path.with(&key)));
            }
            let path = Path::Field { parent: self.path, owner: ty, name: field.name };
            let value = entries.next_value_seed(Node { context: self.context, path: &path, shape: field.shape })?;
            if !is_omitted(&value, field) {
                object.insert(key, value);
            }
        }
        Ok(Value::Object(object))
    }

    fn mismatch<E: Error>(self, found: &str) -> Result<Value, E> {
        let schemas = self.context.schemas;
        let expected = go_type(schemas, self.shape);
        let message = match self.path.field() {
            Some((owner, path)) => {
                let owner = schemas.ty(owner).short_name();
                format!("json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {expected}")
            }
            None => format!("json: cannot unmarshal {found} into Go value of type {expected}"),
        };
        self.refuse(message)
    }

    fn too_deep<E: Error>(self) -> Result<Value, E> {
        self.refuse(format!("json: exceeded max depth of {MAX_DEPTH}"))
    }

    fn refuse<E: Error>(self, message: String) -> Result<Value, E> {
        self.context.mismatch = Some(message);
        Err(E::custom("the value does not fit its type"))
    }
}

/// Kubernetes leaves out what it was given as null, and empty lists and maps that need not be there.
fn is_omitted(value: &Value, field: &Field) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty() && !field.required && matches!(field.shape, Shape::List(_)),
        Value::Object(entries) => entries.is_empty() && !field.required && matches!(field.shape, Shape::Map(_)),
        _ => false,
    }
}

/// What Go makes of a null among the items of a list or the values of a map: the type's zero value.
fn or_zero(value: Value, shape: Shape) -> Value {
    match shape {
        _ if !value.is_null() => value,
        Shape::String | Shape::Byte => Value::String(String::new()),
        Shape::Boolean => Value::Bool(false),
        Shape::Int32 | Shape::Int64 | Shape::Double | Shape::IntOrString => 0.into(),
        Shape::Quantity => Value::String("0".to_owned()),
        Shape::Object | Shape::Ref(_) => Value::Object(Map::new()),
        Shape::Any | Shape::Time | Shape::MicroTime | Shape::List(_) | Shape::Map(_) => value,
    }
}

/// The name of the Go type, since that is what Kubernetes' messages name.
fn go_type(schemas: &Schemas, shape: Shape) -> String {
    match shape {
        Shape::Any => "interface {}".to_owned(),
        Shape::Object => "map[string]interface {}".to_owned(),
        Shape::String => "string".to_owned(),
        Shape::Boolean => "bool".to_owned(),
        Shape::Int32 => "int32".to_owned(),
        Shape::Int64 => "int64".to_owned(),
        Shape::Double => "float64".to_owned(),
        Shape::Byte => "[]uint8".to_owned(),
        Shape::Time => "v1.Time".to_owned(),
        Shape::MicroTime => "v1.MicroTime".to_owned(),
        Shape::Quantity => "resource.Quantity".to_owned(),
        Shape::IntOrString => "intstr.IntOrString".to_owned(),
        Shape::List(of) => format!("[]{}", go_type(schemas, schemas.resolve(schemas.inner(of)))),
        Shape::Map(of) => format!("map[string]{}", go_type(schemas, schemas.resolve(schemas.inner(of)))),
        Shape::Ref(ty) => format!("{}.{}", schemas.ty(ty).version(), schemas.ty(ty).short_name()),
    }
}
