//! The wire format of protobuf (<https://protobuf.dev/programming-guides/encoding/>), as far as it is written here.

pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn put_flag(out: &mut Vec<u8>, number: u32, flag: bool) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, u64::from(flag));
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
