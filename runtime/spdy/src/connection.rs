//! The state of one connection.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};

use crate::frame::{self, Decoder, Frame};
use crate::headers::{Deflater, Headers, Inflater};
use crate::{Error, ResetStatus, StreamId};

/// Bytes that a sender may have under way, as the specification sets it; the half of it is acknowledged at once.
const WINDOW: u32 = 64 * 1024;

/// What a peer did.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// It opened a stream, to be answered by [`Connection::reply`] or [`Connection::reset`].
    Opened(StreamId, Headers),
    /// It sent bytes, to be acknowledged by [`Connection::consumed`].
    Data(StreamId, Bytes),
    /// It sends nothing more on the stream.
    Finished(StreamId),
    /// It ended the stream in both directions, or broke its rules.
    Reset(StreamId),
    /// It opens no more streams.
    GoAway,
}

/// The serving end of a connection.
pub struct Connection {
    decoder: Decoder,
    inflater: Inflater,
    deflater: Deflater,
    streams: HashMap<StreamId, Stream>,
    /// The newest stream that the peer opened.
    newest: StreamId,
    /// How many streams may be open at once.
    most: usize,
    unacknowledged: u32,
    gone: bool,
    output: BytesMut,
    /// What one frame said beside its first event.
    next: Option<Event>,
}

/// Which directions of a stream go on, and what is not acknowledged yet.
struct Stream {
    receives: bool,
    sends: bool,
    unacknowledged: u32,
}

impl Connection {
    /// A new connection, in which the peer may have `most` streams open at once; one more is refused.
    pub fn new(most: usize) -> Connection {
        Connection {
            decoder: Decoder::default(),
            inflater: Inflater::new(),
            deflater: Deflater::new(),
            streams: HashMap::new(),
            newest: StreamId(0),
            most,
            unacknowledged: 0,
            gone: false,
            output: BytesMut::new(),
            next: None,
        }
    }

    /// Takes in bytes that arrived; [`Connection::event`] tells what they mean.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.decoder.receive(bytes);
    }

    /// What happened next; nothing until more arrives.
    ///
    /// # Errors
    /// The peer broke the protocol: what is left to send says so, and nothing more can be read.
    pub fn event(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.next.take() {
                return Ok(Some(event));
            }
            let Some(frame) = self.decoder.next().inspect_err(|_| self.broken())? else { return Ok(None) };
            let event = self.take(frame).inspect_err(|_| self.broken())?;
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// Accepts a stream. Nothing may be sent on it before.
    pub fn reply(&mut self, stream: StreamId) {
        let block = self.deflater.write(&Headers::default());
        frame::reply(&mut self.output, stream, &block);
    }

    /// Sends bytes; they are dropped if the stream does not take any (more).
    pub fn send(&mut self, stream: StreamId, bytes: &[u8]) {
        if self.sends(stream) && !bytes.is_empty() {
            frame::data(&mut self.output, stream, bytes, false);
        }
    }

    /// Sends nothing more on a stream.
    pub fn finish(&mut self, stream: StreamId) {
        if self.sends(stream) {
            frame::data(&mut self.output, stream, &[], true);
            self.half_closed(stream, |open| open.sends = false);
        }
    }

    /// Ends a stream in both directions.
    pub fn reset(&mut self, stream: StreamId, status: ResetStatus) {
        if self.streams.remove(&stream).is_some() {
            frame::reset(&mut self.output, stream, status);
        }
    }

    /// Lets the peer send as many more bytes on a stream as have been passed on.
    pub fn consumed(&mut self, stream: StreamId, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Some(open) = self.streams.get_mut(&stream).filter(|open| open.receives) {
            acknowledge(&mut self.output, stream, &mut open.unacknowledged, bytes);
        }
        acknowledge(&mut self.output, StreamId(0), &mut self.unacknowledged, bytes);
    }

    /// Takes no more streams; those that are open go on.
    pub fn go_away(&mut self) {
        self.leave(0);
    }

    /// Whether the stream goes on in at least one direction.
    pub fn is_open(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream)
    }

    /// How many bytes are to be sent.
    pub fn unsent(&self) -> usize {
        self.output.len()
    }

    /// The bytes to be sent; none if there is nothing to send.
    pub fn output(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    fn take(&mut self, frame: Frame) -> Result<Option<Event>, Error> {
        Ok(match frame {
            Frame::Open { stream, fin, unidirectional, block } => {
                let headers = self.inflater.read(&block)?;
                self.opened(stream, headers, fin, unidirectional)?
            }
            Frame::Headers { stream, fin, block } => {
                // They mean nothing here, but belong to the history.
                self.inflater.read(&block)?;
                fin.then(|| self.finished(stream)).flatten()
            }
            Frame::Data { stream, fin, bytes } => self.data(stream, bytes, fin),
            Frame::Reset(stream) => self.streams.remove(&stream).map(|_| Event::Reset(stream)),
            Frame::Ping(id) => {
                // Even numbers would answer ours, and none are sent.
                if id % 2 == 1 {
                    frame::ping(&mut self.output, id);
                }
                None
            }
            Frame::GoAway => Some(Event::GoAway),
            Frame::Other => None,
        })
    }

    fn opened(
        &mut self,
        stream: StreamId,
        headers: Headers,
        fin: bool,
        unidirectional: bool,
    ) -> Result<Option<Event>, Error> {
        if stream.0.is_multiple_of(2) || stream <= self.newest {
            return Err(Error::StreamId { opened: stream.0, newest: self.newest.0 });
        }
        if self.gone {
            return Ok(None);
        }
        self.newest = stream;
        if self.streams.len() >= self.most {
            frame::reset(&mut self.output, stream, ResetStatus::Refused);
            return Ok(None);
        }
        self.streams.insert(stream, Stream { receives: true, sends: !unidirectional, unacknowledged: 0 });
        self.next = fin.then(|| self.finished(stream)).flatten();
        Ok(Some(Event::Opened(stream, headers)))
    }

    fn data(&mut self, stream: StreamId, bytes: Bytes, fin: bool) -> Option<Event> {
        match self.streams.get(&stream) {
            Some(open) if open.receives => {}
            Some(_) => {
                self.reset(stream, ResetStatus::AlreadyClosed);
                return Some(Event::Reset(stream));
            }
            None => {
                self.stray(stream, bytes.len());
                return None;
            }
        }
        let finished = fin.then(|| self.finished(stream)).flatten();
        if bytes.is_empty() {
            return finished;
        }
        self.next = finished;
        Some(Event::Data(stream, bytes))
    }

    /// Data for a stream that is over may still have been under way; one that never was is a mistake.
    fn stray(&mut self, stream: StreamId, bytes: usize) {
        if stream > self.newest || stream.0.is_multiple_of(2) {
            frame::reset(&mut self.output, stream, ResetStatus::InvalidStream);
        }
        self.consumed(stream, bytes);
    }

    fn finished(&mut self, stream: StreamId) -> Option<Event> {
        let open = self.streams.get(&stream)?;
        open.receives.then(|| {
            self.half_closed(stream, |open| open.receives = false);
            Event::Finished(stream)
        })
    }

    fn half_closed(&mut self, stream: StreamId, close: impl FnOnce(&mut Stream)) {
        let Some(open) = self.streams.get_mut(&stream) else { return };
        close(open);
        if !open.receives && !open.sends {
            self.streams.remove(&stream);
        }
    }

    fn sends(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_some_and(|open| open.sends)
    }

    fn broken(&mut self) {
        self.leave(1);
    }

    fn leave(&mut self, status: u32) {
        if !self.gone {
            self.gone = true;
            frame::go_away(&mut self.output, self.newest, status);
        }
    }
}

fn acknowledge(output: &mut BytesMut, stream: StreamId, pending: &mut u32, bytes: u32) {
    *pending = pending.saturating_add(bytes).min(i32::MAX as u32);
    if *pending >= WINDOW / 2 {
        frame::window_update(output, stream, std::mem::take(pending));
    }
}
