//! The document of version 2 in protobuf, as gnostic's `openapi_v2.Document`
//! (<https://github.com/google/gnostic-models/blob/main/openapiv2/OpenAPIv2.proto>).
//!
//! The JSON is read once, from front to back, and each member goes to where the [`messages`] say. What they do not know is an
//! error: a client would take the rest for the whole.

mod messages;
mod wire;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use self::messages::{DOCUMENT, Message, Value};
use self::wire::{put_bytes, put_flag};

/// Writes a JSON document in protobuf.
pub(super) fn encode(document: &[u8]) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(document.len());
    let mut json = serde_json::Deserializer::from_slice(document);
    Members { message: &DOCUMENT, out: &mut out }.deserialize(&mut json)?;
    json.end()?;
    Ok(out)
}

/// The members of an object, each a field.
struct Members<'a> {
    message: &'static Message,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Members { message, out } = self;
        while let Some(name) = members.next_key::<String>()? {
            if let Some((_, number, value)) = message.fields.iter().find(|(field, ..)| *field == name) {
                members.next_value_seed(Field { number: *number, value, out })?;
            } else if let Some(number) = message.extensions.filter(|_| name.starts_with("x-")) {
                members.next_value_seed(Named { number, name: &name, value: &Value::Any, out })?;
            } else if let Some((number, value)) = &message.others {
                members.next_value_seed(Named { number: *number, name: &name, value, out })?;
            } else {
                return Err(A::Error::custom(format!("gnostic has no field for {name:?}")));
            }
        }
        Ok(())
    }
}

/// An entry of a map: gnostic has messages of a name (1) and a value (2) for them.
struct Named<'a> {
    number: u32,
    name: &'a str,
    value: &'static Value,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, self.name.as_bytes());
        Field { number: 2, value: self.value, out: &mut entry }.deserialize(json)?;
        put_bytes(self.out, self.number, &entry);
        Ok(())
    }
}

/// One field.
struct Field<'a> {
    number: u32,
    value: &'static Value,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let Field { number, value, out } = self;
        let mut inner = Vec::new();
        match value {
            Value::Text => inner = read::<String, D>(json)?.into_bytes(),
            Value::Flag => {
                put_flag(out, number, read::<bool, D>(json)?);
                return Ok(());
            }
            Value::Each(value) => return json.deserialize_seq(Each { number, value, out }),
            Value::Message(message) => Members { message, out: &mut inner }.deserialize(json)?,
            Value::Within(number, value) => Field { number: *number, value, out: &mut inner }.deserialize(json)?,
            // YAML is what gnostic keeps of values of any type, and JSON is YAML.
            Value::Any => put_bytes(&mut inner, 2, read::<Json, D>(json)?.to_string().as_bytes()),
            Value::ByPlace(places) => {
                let parameter = read::<Json, D>(json)?;
                let place = parameter["in"].as_str().unwrap_or_default();
                let (_, value) = places
                    .iter()
                    .find(|(known, _)| *known == place)
                    .ok_or_else(|| D::Error::custom(format!("gnostic has no parameter in {place:?}")))?;
                return Field { number, value, out }.deserialize(parameter).map_err(D::Error::custom);
            }
        }
        put_bytes(out, number, &inner);
        Ok(())
    }
}

fn read<'de, T: serde::Deserialize<'de>, D: Deserializer<'de>>(json: D) -> Result<T, D::Error> {
    T::deserialize(json)
}

/// The items of a list: the same field again and again.
struct Each<'a> {
    number: u32,
    value: &'static Value,
    out: &'a mut Vec<u8>,
}

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Each { number, value, out } = self;
        while items.next_element_seed(Field { number, value, out })?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests;
