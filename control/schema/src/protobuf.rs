//! Reads an object that a client sent in Kubernetes' protobuf encoding, which kubectl and other Go clients prefer for the
//! built-in kinds, into the JSON that it would have sent otherwise.
//!
//! Follows <https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding>: four bytes of magic, a
//! `runtime.Unknown` that names the kind, the object in it. Answers are always JSON, which these clients accept.

pub(crate) mod message;
mod numbers;
mod scalars;

use serde_json::{Map, Value};

use crate::shape::{Shape, TypeRef};
use crate::tables::Schemas;

use self::message::{Message, Payload};
use self::numbers::{Numbers, Target};

const MAGIC: &[u8] = b"k8s\0";

/// How deep messages may stand in one another.
const DEPTH: usize = 64;

/// Why bytes are no object in Kubernetes' protobuf encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// They do not begin as every such object does.
    #[error("the body does not begin with the four bytes of Kubernetes' protobuf encoding")]
    Magic,
    /// They break the rules of protobuf.
    #[error("the body is no valid protobuf: {0}")]
    Malformed(&'static str),
    /// They hold a kind that has no protobuf encoding here.
    #[error("no kind {kind:?} in version {api_version:?} can be read from protobuf")]
    Unknown {
        /// As the body says.
        api_version: String,
        /// As the body says.
        kind: String,
    },
}

impl Schemas {
    /// Reads an object in Kubernetes' protobuf encoding into JSON, which [`Schemas::parse_value`] then checks.
    ///
    /// # Errors
    /// [`ProtobufError`], which is a `BadRequest`.
    pub fn read_protobuf(&self, body: &[u8]) -> Result<Value, ProtobufError> {
        let unknown = Message::new(body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?);
        let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
        for field in unknown {
            match field? {
                (1, Payload::Bytes(type_meta)) => (api_version, kind) = read_type_meta(type_meta)?,
                (2, Payload::Bytes(bytes)) => raw = bytes,
                _ => {}
            }
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let known = self.of(group, version, &kind).filter(|ty| Numbers::builtin().knows(*ty));
        let Some(ty) = known else { return Err(ProtobufError::Unknown { api_version, kind }) };
        let mut object = Map::new();
        Reader { schemas: self, numbers: Numbers::builtin() }.fields(&mut object, raw, ty, 0, DEPTH)?;
        object.insert("apiVersion".to_owned(), api_version.into());
        object.insert("kind".to_owned(), kind.into());
        Ok(Value::Object(object))
    }
}

fn read_type_meta(bytes: &[u8]) -> Result<(String, String), ProtobufError> {
    let (mut api_version, mut kind) = (String::new(), String::new());
    for field in Message::new(bytes) {
        match field? {
            (1, Payload::Bytes(text)) => api_version = scalars::text(text)?,
            (2, Payload::Bytes(text)) => kind = scalars::text(text)?,
            _ => {}
        }
    }
    Ok((api_version, kind))
}

struct Reader<'a> {
    schemas: &'a Schemas,
    numbers: &'a Numbers,
}

impl Reader<'_> {
    /// Reads a message's fields into `object`. `within` is the path of the embedded messages around it that JSON does not
    /// have. Fields that the tables do not know are passed over, as protobuf wants it.
    fn fields(
        &self,
        object: &mut Map<String, Value>,
        bytes: &[u8],
        ty: TypeRef,
        within: u64,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        let depth = depth.checked_sub(1).ok_or(ProtobufError::Malformed("messages stand too deep in one another"))?;
        for field in Message::new(bytes) {
            let (number, payload) = field?;
            match (self.numbers.find(ty, within, number), payload) {
                (Some(Target::Inline(path)), Payload::Bytes(bytes)) => self.fields(object, bytes, ty, path, depth)?,
                (Some(Target::Field { zero_is_absent: true, .. }), payload) if payload.is_zero() => {}
                (Some(Target::Field { name, .. }), payload) => self.field(object, ty, name, payload, depth)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn field(
        &self,
        object: &mut Map<String, Value>,
        ty: TypeRef,
        name: &str,
        payload: Payload<'_>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        let Some(field) = self.schemas.field(ty, name) else { return Ok(()) };
        match self.schemas.resolve(field.shape) {
            Shape::List(items) => {
                let item = self.value(self.schemas.inner(items), payload, depth)?;
                if let Value::Array(list) = object.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                    list.push(item);
                }
            }
            Shape::Map(values) => {
                let (key, value) = self.entry(self.schemas.inner(values), payload, depth)?;
                if let Value::Object(map) = object.entry(name).or_insert_with(|| Value::Object(Map::new())) {
                    map.insert(key, value);
                }
            }
            shape => {
                let value = self.value(shape, payload, depth)?;
                if !value.is_null() {
                    object.insert(name.to_owned(), value);
                }
            }
        }
        Ok(())
    }

    /// An entry of a map: a message of the key, 1, and the value, 2.
    fn entry(&self, shape: Shape, payload: Payload<'_>, depth: usize) -> Result<(String, Value), ProtobufError> {
        let (mut key, mut value) = (String::new(), Value::Null);
        for field in payload.message()? {
            match field? {
                (1, Payload::Bytes(text)) => key = scalars::text(text)?,
                (2, payload) => value = self.value(shape, payload, depth)?,
                _ => {}
            }
        }
        Ok((key, value))
    }

    fn value(&self, shape: Shape, payload: Payload<'_>, depth: usize) -> Result<Value, ProtobufError> {
        match self.schemas.resolve(shape) {
            Shape::Ref(ty) => {
                let mut object = Map::new();
                self.fields(&mut object, payload.bytes()?, ty, 0, depth)?;
                Ok(Value::Object(object))
            }
            // Where a list is not a field of its own, it is wrapped in a message of items.
            Shape::List(items) => {
                let shape = self.schemas.inner(items);
                let items = payload.message()?.map(|item| self.value(shape, item?.1, depth));
                Ok(Value::Array(items.collect::<Result<_, _>>()?))
            }
            shape => scalars::value(shape, payload),
        }
    }
}

#[cfg(test)]
mod tests;
