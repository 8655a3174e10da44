//! The wire format of protobuf (<https://protobuf.dev/programming-guides/encoding/>), as far as Kubernetes uses it.

use super::ProtobufError;

/// What a field holds on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Payload<'a> {
    /// Whether it is what a Go value holds that nobody has set.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => *number == 0,
            Self::Fixed32(number) => *number == 0,
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }

    pub(crate) fn bytes(self) -> Result<&'a [u8], ProtobufError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(ProtobufError::Malformed("a number stands where a string or message should")),
        }
    }

    pub(crate) fn number(self) -> Result<u64, ProtobufError> {
        match self {
            Self::Varint(number) => Ok(number),
            _ => Err(ProtobufError::Malformed("a number is not where one should stand")),
        }
    }

    pub(crate) fn message(self) -> Result<Message<'a>, ProtobufError> {
        self.bytes().map(Message::new)
    }
}

/// The fields of a message, in the order of the wire. Ends after the first error.
pub(crate) struct Message<'a> {
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn field(&mut self) -> Result<(u32, Payload<'a>), ProtobufError> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| ProtobufError::Malformed("a field's number is too great"))?;
        let payload = match tag & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                Payload::Bytes(self.take(length)?)
            }
            5 => Payload::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(ProtobufError::Malformed("a field has a wire type that is not used")),
        };
        Ok((number, payload))
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtobufError::Malformed("a number is longer than ten bytes"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtobufError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(CUT)?;
        self.rest = rest;
        Ok(*head)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
        self.rest = rest;
        Ok(head)
    }
}

const CUT: ProtobufError = ProtobufError::Malformed("it ends in the middle of a field");

impl<'a> Iterator for Message<'a> {
    type Item = Result<(u32, Payload<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}
