//! What two nodes say to each other, without input or output.
//!
//! A TCP flow is a bidirectional stream of QUIC: its [`Header`], then, the other way, an [`Answer`], then the flow's bytes as
//! they are. The end of a stream is the end of that direction; a reset, or a request to stop, is the flow's, with a [`Cut`]
//! for its code. A datagram of UDP is its header and payload, in a datagram of QUIC where it fits, and otherwise alone in a
//! unidirectional stream.
//!
//! All of it is version 1, which ALPN names ([`ALPN`]) and every header repeats. Whatever is not exactly as described is
//! [`Malformed`]: each message has one encoding.

mod address;
mod answer;
mod codes;
mod header;

#[cfg(any(test, feature = "fuzzing"))]
use answer::MAX_WHY;
pub(crate) use answer::{Answer, Reason, Refusal};
pub(crate) use codes::{Close, Cut};
pub(crate) use header::{Header, MAX_HEADER, Origin};

/// The protocol's name in TLS. A node that speaks another version has no name in common, and the handshake says so.
pub(crate) const ALPN: &[u8] = b"carob-mesh/1";

/// The largest payload of one datagram: what UDP over IPv6 can carry.
pub(crate) const MAX_PAYLOAD: usize = 65_527;

/// What the first bytes of a stream come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decoded<T> {
    /// A whole message.
    Whole(T),
    /// The message has at least so many bytes, counted from its first: more than there were.
    Needs(usize),
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// Of another version of the protocol.
    #[error("version {0} of the mesh protocol is not spoken here; upgrade the older of the two nodes")]
    Version(u8),
    /// Neither TCP nor UDP, by their numbers at IANA; or the one where the other belongs.
    #[error("protocol {0} does not belong here")]
    Protocol(u8),
    /// Neither a Pod nor a client from outside.
    #[error("{0} is no origin of a flow")]
    Origin(u8),
    /// Neither IPv4 nor IPv6.
    #[error("{0} is no family of addresses")]
    Family(u8),
    /// An address that is no single machine's.
    #[error("an address or port that nobody can have")]
    Address,
    /// A reason that this version does not have.
    #[error("{0} is no reason for a refusal")]
    Reason(u8),
    /// A text that is too long, or not UTF-8.
    #[error("the text of a refusal is too long or not UTF-8")]
    Text,
    /// The message ended early.
    #[error("the message ends early")]
    Short,
    /// A datagram with more payload than UDP has.
    #[error("a datagram of {0} bytes")]
    Payload(usize),
}

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
