//! Frames, between bytes and meaning.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::Error;

/// Names a stream of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// Why a stream is ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ResetStatus {
    /// The stream's rules were broken.
    ProtocolError = 1,
    /// Something was sent for a stream that does not exist.
    InvalidStream = 2,
    /// The stream was not begun.
    Refused = 3,
    /// Nobody wants it any more.
    Cancel = 5,
    /// Something went wrong here.
    InternalError = 6,
    /// Something was sent on a stream whose sending side has ended.
    AlreadyClosed = 9,
}

const VERSION: u16 = 3;
const CONTROL: u32 = 1 << 31;
const FIN: u8 = 1;
const UNIDIRECTIONAL: u8 = 2;
const HEAD: usize = 8;
/// The longest control frame that is taken; data frames of any length are handed on as they arrive.
const LONGEST: usize = 64 * 1024;
/// The longest data frame that is sent.
const LONGEST_DATA: usize = 32 * 1024;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const WINDOW_UPDATE: u16 = 9;

/// A frame that was read, or a part of a data frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Open {
        stream: StreamId,
        fin: bool,
        unidirectional: bool,
        block: Bytes,
    },
    Headers {
        stream: StreamId,
        fin: bool,
        block: Bytes,
    },
    Data {
        stream: StreamId,
        fin: bool,
        bytes: Bytes,
    },
    Reset(StreamId),
    Ping(u32),
    GoAway,
    /// Of no consequence here: SYN_REPLY to nothing that was asked, SETTINGS, WINDOW_UPDATE, and what is not known.
    Other,
}

/// Cuts frames out of the bytes that arrive.
#[derive(Default)]
pub(crate) struct Decoder {
    buffer: BytesMut,
    /// The rest of a data frame.
    data: Option<Rest>,
}

#[derive(Clone, Copy)]
struct Rest {
    stream: StreamId,
    fin: bool,
    length: usize,
}

impl Decoder {
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, if it has arrived.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Error> {
        if let Some(rest) = self.data {
            return Ok(self.more_data(rest));
        }
        let Some(mut head) = self.buffer.get(..HEAD) else { return Ok(None) };
        let (word, flags) = (head.get_u32(), head.get_u8());
        let length = head.get_uint(3) as usize;
        if word & CONTROL == 0 {
            self.buffer.advance(HEAD);
            let rest = Rest { stream: StreamId(word), fin: flags & FIN != 0, length };
            self.data = Some(rest);
            return Ok(self.more_data(rest));
        }
        let (version, kind) = ((word >> 16) as u16 & 0x7fff, word as u16);
        if version != VERSION {
            return Err(Error::Version(version));
        }
        if length > LONGEST {
            return Err(Error::Length { kind, length });
        }
        if self.buffer.len() < HEAD + length {
            return Ok(None);
        }
        self.buffer.advance(HEAD);
        let body = self.buffer.split_to(length).freeze();
        control(kind, flags, body).map(Some)
    }

    fn more_data(&mut self, rest: Rest) -> Option<Frame> {
        let Rest { stream, fin, length } = rest;
        let bytes = self.buffer.split_to(length.min(self.buffer.len())).freeze();
        if bytes.len() == length {
            self.data = None;
            return Some(Frame::Data { stream, fin, bytes });
        }
        self.data = Some(Rest { length: length - bytes.len(), ..rest });
        (!bytes.is_empty()).then_some(Frame::Data { stream, fin: false, bytes })
    }
}

fn control(kind: u16, flags: u8, body: Bytes) -> Result<Frame, Error> {
    let length = body.len();
    let mut rest = body;
    let mut word = || rest.try_get_u32().map_err(|_| Error::Length { kind, length });
    let (fin, unidirectional) = (flags & FIN != 0, flags & UNIDIRECTIONAL != 0);
    Ok(match kind {
        SYN_STREAM => {
            let stream = StreamId(word()? & !CONTROL);
            let _associated = word()?;
            // Priority and slot.
            rest.try_get_u16().map_err(|_| Error::Length { kind, length })?;
            Frame::Open { stream, fin, unidirectional, block: rest }
        }
        HEADERS => Frame::Headers { stream: StreamId(word()? & !CONTROL), fin, block: rest },
        RST_STREAM => {
            let stream = StreamId(word()? & !CONTROL);
            let _status = word()?;
            Frame::Reset(stream)
        }
        PING => Frame::Ping(word()?),
        GOAWAY => Frame::GoAway,
        _ => Frame::Other,
    })
}

fn head(out: &mut BytesMut, kind: u16, flags: u8, length: usize) {
    out.put_u32(CONTROL | u32::from(VERSION) << 16 | u32::from(kind));
    out.put_u8(flags);
    out.put_uint(length as u64, 3);
}

pub(crate) fn reply(out: &mut BytesMut, stream: StreamId, block: &[u8]) {
    head(out, SYN_REPLY, 0, 4 + block.len());
    out.put_u32(stream.0);
    out.put_slice(block);
}

/// Data in as many frames as it takes; the last one ends the stream if `fin`.
pub(crate) fn data(out: &mut BytesMut, stream: StreamId, mut bytes: &[u8], fin: bool) {
    loop {
        let piece = bytes.split_off(..bytes.len().min(LONGEST_DATA)).unwrap_or_default();
        let last = bytes.is_empty();
        out.put_u32(stream.0);
        out.put_u8(if last && fin { FIN } else { 0 });
        out.put_uint(piece.len() as u64, 3);
        out.put_slice(piece);
        if last {
            return;
        }
    }
}

pub(crate) fn reset(out: &mut BytesMut, stream: StreamId, status: ResetStatus) {
    head(out, RST_STREAM, 0, 8);
    out.put_u32(stream.0);
    out.put_u32(status as u32);
}

pub(crate) fn ping(out: &mut BytesMut, id: u32) {
    head(out, PING, 0, 4);
    out.put_u32(id);
}

/// `status` is 0 for an end in order and 1 for a broken protocol.
pub(crate) fn go_away(out: &mut BytesMut, last: StreamId, status: u32) {
    head(out, GOAWAY, 0, 8);
    out.put_u32(last.0);
    out.put_u32(status);
}

/// Stream 0 stands for all streams together.
pub(crate) fn window_update(out: &mut BytesMut, stream: StreamId, bytes: u32) {
    head(out, WINDOW_UPDATE, 0, 8);
    out.put_u32(stream.0);
    out.put_u32(bytes);
}
