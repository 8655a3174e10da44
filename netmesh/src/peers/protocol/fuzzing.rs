//! What holds of any bytes whatever. The fuzz target `mesh_protocol` and a test drive it.

use bytes::Bytes;

use super::{Answer, Decoded, Header, MAX_HEADER, MAX_PAYLOAD, MAX_WHY, Malformed};

/// Reads `bytes` as each message, as the driver does, and checks what it comes to.
///
/// # Panics
/// If something does not hold that must.
pub fn run(bytes: &[u8]) {
    if let Some((header, length)) = read(bytes, Header::decode, MAX_HEADER) {
        let mut again = Vec::new();
        header.encode(&mut again);
        assert_eq!(again, bytes[..length], "a header has one encoding");
        assert_eq!(header.length(), length);
    }
    if let Some((answer, length)) = read(bytes, Answer::decode, MAX_WHY + 3) {
        assert_eq!(answer.encode(), bytes[..length], "an answer has one encoding");
    }
    if let Ok((header, payload)) = Header::split(Bytes::copy_from_slice(bytes)) {
        assert!(payload.len() <= MAX_PAYLOAD);
        assert_eq!(header.datagram(&payload), bytes, "a datagram has one encoding");
    }
}

/// Gives a decoder as many bytes as it asks for and no more; what more bytes would say it must say at once.
fn read<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    decode: fn(&[u8]) -> Result<Decoded<T>, Malformed>,
    most: usize,
) -> Option<(T, usize)> {
    let mut length = 0;
    loop {
        match decode(bytes.get(..length)?) {
            Ok(Decoded::Needs(more)) => {
                assert!(more > length && more <= most, "{more} after {length} of {most}");
                length = more;
            }
            Ok(Decoded::Whole(message)) => {
                let all = decode(bytes);
                assert_eq!(all, Ok(Decoded::Whole(message)), "what follows a message does not change it");
                let Ok(Decoded::Whole(message)) = all else { unreachable!("it was asserted") };
                return Some((message, length));
            }
            Err(malformed) => {
                assert_eq!(decode(bytes), Err(malformed), "what follows does not mend it");
                return None;
            }
        }
    }
}
