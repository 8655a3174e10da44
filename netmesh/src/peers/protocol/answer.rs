use bytes::{BufMut, Bytes, BytesMut};

use super::{Decoded, Malformed};

const ACCEPTED: u8 = 0;
/// A byte for the reason and two for the length of the text.
const FIXED: usize = 3;

/// The most bytes of a refusal's text.
pub(crate) const MAX_WHY: usize = 512;

/// What the receiving node says to the header of a TCP flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Somebody listens there, and has been given the connection.
    Accepted,
    /// There is no connection.
    Refused(Refusal),
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What the client's error becomes.
    pub(crate) reason: Reason,
    /// The same in words, for whoever reads the log; [`MAX_WHY`] bytes at most.
    pub(crate) why: String,
}

/// Why a node refuses a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    /// No listener at that port, or one with a full queue.
    Refused = 1,
    /// No such Pod on the receiving node.
    Unreachable = 2,
    /// The receiving node's decision point denied it.
    Denied = 3,
    /// The source is not the sending node's to speak for.
    Forged = 4,
    /// The header was no header.
    Malformed = 5,
}

impl Refusal {
    /// A refusal whose words are cut where they are too long.
    pub(crate) fn new(reason: Reason, mut why: String) -> Refusal {
        why.truncate(why.floor_char_boundary(MAX_WHY));
        Refusal { reason, why }
    }
}

impl Answer {
    /// The answer as it is sent.
    pub(crate) fn encode(&self) -> Bytes {
        let Answer::Refused(Refusal { reason, why }) = self else { return Bytes::from_static(&[ACCEPTED]) };
        let why = &why[..why.floor_char_boundary(MAX_WHY)];
        let mut bytes = BytesMut::with_capacity(FIXED + why.len());
        bytes.put_u8(*reason as u8);
        bytes.put_u16(why.len() as u16);
        bytes.put_slice(why.as_bytes());
        bytes.freeze()
    }

    /// The answer that `bytes` begins with.
    ///
    /// # Errors
    /// If no bytes that follow could make it an answer.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded<Answer>, Malformed> {
        let reason = match bytes.first() {
            None => return Ok(Decoded::Needs(1)),
            Some(&ACCEPTED) => return Ok(Decoded::Whole(Answer::Accepted)),
            Some(&number) => reason(number)?,
        };
        let [_, high, low, text @ ..] = bytes else { return Ok(Decoded::Needs(FIXED)) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length > MAX_WHY {
            return Err(Malformed::Text);
        }
        let Some(text) = text.get(..length) else { return Ok(Decoded::Needs(FIXED + length)) };
        let why = str::from_utf8(text).map_err(|_| Malformed::Text)?.to_owned();
        Ok(Decoded::Whole(Answer::Refused(Refusal { reason, why })))
    }
}

fn reason(number: u8) -> Result<Reason, Malformed> {
    const ALL: [Reason; 5] = [Reason::Refused, Reason::Unreachable, Reason::Denied, Reason::Forged, Reason::Malformed];
    ALL.into_iter().find(|reason| *reason as u8 == number).ok_or(Malformed::Reason(number))
}
