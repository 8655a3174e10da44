//! Name and value pairs, compressed with one history for all of a direction.

use bytes::{Buf, BufMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::Error;

/// What both ends have compressed before they begin (section 2.6.10.1 of the specification).
const DICTIONARY: &[u8] = include_bytes!("dictionary.bin");
/// Bytes of headers that one frame may unfold to.
const MOST: usize = 64 * 1024;

/// Headers of a stream, in the order in which they came. Names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of a header; the first of several.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).and_then(|(_, value)| value.split('\0').next())
    }

    fn parse(mut block: &[u8]) -> Result<Headers, Error> {
        let count = number(&mut block)?;
        let mut headers = Vec::new();
        for _ in 0..count {
            headers.push((text(&mut block)?, text(&mut block)?));
        }
        Ok(Headers(headers))
    }

    fn encode(&self) -> Vec<u8> {
        let mut block = Vec::new();
        block.put_u32(self.0.len() as u32);
        for text in self.0.iter().flat_map(|(name, value)| [name, value]) {
            block.put_u32(text.len() as u32);
            block.put_slice(text.as_bytes());
        }
        block
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Headers {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Headers(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }
}

fn number(block: &mut &[u8]) -> Result<usize, Error> {
    block.try_get_u32().map(|number| number as usize).map_err(|_| Error::Headers("they end too early"))
}

fn text(block: &mut &[u8]) -> Result<String, Error> {
    let length = number(block)?;
    let bytes = block.split_off(..length).ok_or(Error::Headers("they end too early"))?;
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::Headers("they are not UTF-8"))
}

/// Reads the headers of all frames that arrive.
pub(crate) struct Inflater(Decompress);

impl Inflater {
    pub(crate) fn new() -> Self {
        Inflater(Decompress::new(true))
    }

    pub(crate) fn read(&mut self, compressed: &[u8]) -> Result<Headers, Error> {
        Headers::parse(&self.unfold(compressed)?)
    }

    fn unfold(&mut self, mut compressed: &[u8]) -> Result<Vec<u8>, Error> {
        let mut block = Vec::with_capacity(1024);
        loop {
            let before = (self.0.total_in(), block.len());
            let status = self.0.decompress_vec(compressed, &mut block, FlushDecompress::Sync);
            compressed.advance((self.0.total_in() - before.0) as usize);
            match status {
                Ok(Status::StreamEnd) => return Err(Error::Headers("the compression was ended")),
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(DICTIONARY).map_err(|_| Error::Headers("another dictionary is meant"))?;
                    continue;
                }
                Err(_) => return Err(Error::Headers("they are not compressed by zlib")),
            }
            if block.len() > MOST {
                return Err(Error::Headers("they are too long"));
            }
            if block.len() == block.capacity() {
                block.reserve(block.len());
            } else if compressed.is_empty() || (self.0.total_in(), block.len()) == before {
                return Ok(block);
            }
        }
    }
}

/// Writes the headers of all frames that are sent.
pub(crate) struct Deflater(Compress);

impl Deflater {
    pub(crate) fn new() -> Self {
        let mut compress = Compress::new(Compression::best(), true);
        compress.set_dictionary(DICTIONARY).expect("nothing was compressed yet");
        Deflater(compress)
    }

    pub(crate) fn write(&mut self, headers: &Headers) -> Vec<u8> {
        let block = headers.encode();
        let mut compressed = Vec::with_capacity(block.len() + 64);
        let begin = self.0.total_in();
        loop {
            let rest = &block[(self.0.total_in() - begin) as usize..];
            self.0.compress_vec(rest, &mut compressed, FlushCompress::Sync).expect("the state is consistent");
            // With room left, all was taken and flushed.
            if compressed.len() < compressed.capacity() {
                return compressed;
            }
            compressed.reserve(64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_out_as_they_went_in_with_one_history_for_all() {
        let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
        let long = "x".repeat(20_000);
        for headers in [
            Headers::from([("streamtype", "error"), ("port", "8080")]),
            Headers::default(),
            Headers::from([("streamtype", "data"), ("long", &long)]),
            Headers::from([("streamtype", "data"), ("port", "8080")]),
        ] {
            let compressed = deflater.write(&headers);
            assert_eq!(inflater.read(&compressed).unwrap(), headers);
        }
    }

    #[test]
    fn what_unfolds_to_too_much_is_refused() {
        let bomb = "0".repeat(MOST + 1);
        let compressed = Deflater::new().write(&Headers::from([("bomb", bomb.as_str())]));
        assert!(compressed.len() < 1000);
        assert_eq!(Inflater::new().read(&compressed), Err(Error::Headers("they are too long")));
    }

    #[test]
    fn nonsense_is_refused() {
        for (block, why) in [
            (&b"\0\0"[..], "they end too early"),
            (b"\0\0\0\x01\0\0\0\x05abc", "they end too early"),
            (b"\xff\xff\xff\xff", "they end too early"),
            (b"\0\0\0\x01\0\0\0\x01\xff\0\0\0\0", "they are not UTF-8"),
        ] {
            assert_eq!(Headers::parse(block), Err(Error::Headers(why)));
        }
        assert_eq!(Inflater::new().read(b"plain"), Err(Error::Headers("they are not compressed by zlib")));
    }
}
