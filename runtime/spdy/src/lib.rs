//! SPDY/3.1, the serving side of it: many streams in one byte stream.
//!
//! `kubectl port-forward` speaks it still, tunnelled over a WebSocket. [`Connection`] is the whole protocol without any
//! input or output: bytes that arrived go in, [`Event`]s come out, and so do the bytes to be sent.
//!
//! What of the protocol is here: SYN_STREAM, SYN_REPLY, data, RST_STREAM, HEADERS, SETTINGS, PING, GOAWAY and
//! WINDOW_UPDATE, with compressed headers. Push streams, credentials and persisted settings are not. What is received is
//! acknowledged by WINDOW_UPDATE; what is sent is not held back by the peer's window, since the clients there are
//! (`moby/spdystream`) never open it: they rely on the byte stream below to hold a sender back.
//!
//! This crate never knows sockets, tasks, or what the streams are for. The specification:
//! <https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/>. Start reading at `connection.rs`.

mod connection;
mod error;
mod frame;
mod headers;

pub use connection::{Connection, Event};
pub use error::Error;
pub use frame::{ResetStatus, StreamId};
pub use headers::Headers;
