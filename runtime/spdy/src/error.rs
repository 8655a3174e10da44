/// What a peer did that ends the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A frame of another version.
    #[error("a frame of SPDY version {0}; only version 3 is spoken here")]
    Version(u16),
    /// A frame is longer than what is taken, or shorter than its kind must be.
    #[error("a frame of type {kind} is {length} bytes long")]
    Length {
        /// The frame's type.
        kind: u16,
        /// Its length, without its head.
        length: usize,
    },
    /// Streams have to be opened by odd numbers that grow.
    #[error("stream {opened} was opened after stream {newest}")]
    StreamId {
        /// The stream that was to be opened.
        opened: u32,
        /// The newest one before.
        newest: u32,
    },
    /// The compressed headers make no sense. They share one history, so nothing after them can be read either.
    #[error("the headers cannot be read: {0}")]
    Headers(&'static str),
}
