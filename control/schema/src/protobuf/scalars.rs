//! Values that are no objects in JSON, some of which are messages in protobuf.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::ProtobufError;
use super::message::Payload;
use crate::shape::Shape;

/// The JSON of a value; null for a time that was never set.
pub(super) fn value(shape: Shape, payload: Payload<'_>) -> Result<Value, ProtobufError> {
    Ok(match shape {
        Shape::String => text(payload.bytes()?)?.into(),
        Shape::Boolean => (payload.number()? != 0).into(),
        Shape::Int32 | Shape::Int64 => signed(payload.number()?).into(),
        Shape::Double => double(payload)?,
        Shape::Byte => STANDARD.encode(payload.bytes()?).into(),
        Shape::Time | Shape::MicroTime => time(payload)?,
        Shape::Quantity => quantity(payload)?,
        Shape::IntOrString => int_or_string(payload)?,
        Shape::Any | Shape::Object | Shape::List(_) | Shape::Map(_) | Shape::Ref(_) => raw_json(payload)?,
    })
}

pub(super) fn text(bytes: &[u8]) -> Result<String, ProtobufError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ProtobufError::Malformed("a string is not UTF-8"))?;
    Ok(text.to_owned())
}

/// Negative numbers are sent in two's complement.
fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn double(payload: Payload<'_>) -> Result<Value, ProtobufError> {
    match payload {
        Payload::Fixed64(bits) => Ok(f64::from_bits(bits).into()),
        _ => Err(ProtobufError::Malformed("a floating-point number is not where one should stand")),
    }
}

/// `Time` and `MicroTime`: seconds since 1970, 1, and nanoseconds, 2.
fn time(payload: Payload<'_>) -> Result<Value, ProtobufError> {
    let (mut seconds, mut nanos, mut set) = (0, 0, false);
    for field in payload.message()? {
        match field? {
            (1, number) => (seconds, set) = (signed(number.number()?), true),
            (2, number) => nanos = i32::try_from(signed(number.number()?)).unwrap_or_default(),
            _ => {}
        }
    }
    if !set {
        return Ok(Value::Null);
    }
    let time = Timestamp::new(seconds, nanos).map_err(|_| ProtobufError::Malformed("a time is out of range"))?;
    Ok(time.to_string().into())
}

/// `Quantity`: its text, 1.
fn quantity(payload: Payload<'_>) -> Result<Value, ProtobufError> {
    let mut quantity = "0".to_owned();
    for field in payload.message()? {
        if let (1, Payload::Bytes(bytes)) = field? {
            quantity = text(bytes)?;
        }
    }
    Ok(quantity.into())
}

/// `IntOrString`: which of the two, 1; the number, 2; the string, 3.
fn int_or_string(payload: Payload<'_>) -> Result<Value, ProtobufError> {
    let (mut is_string, mut number, mut string) = (false, 0, String::new());
    for field in payload.message()? {
        match field? {
            (1, kind) => is_string = kind.number()? == 1,
            (2, value) => number = signed(value.number()?),
            (3, value) => string = text(value.bytes()?)?,
            _ => {}
        }
    }
    Ok(if is_string { string.into() } else { number.into() })
}

/// `RawExtension` and `FieldsV1`: JSON as bytes, 1.
fn raw_json(payload: Payload<'_>) -> Result<Value, ProtobufError> {
    for field in payload.message()? {
        if let (1, Payload::Bytes(json)) = field? {
            return serde_json::from_slice(json).map_err(|_| ProtobufError::Malformed("embedded JSON is not JSON"));
        }
    }
    Ok(Value::Null)
}
