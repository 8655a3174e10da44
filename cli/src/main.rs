//! Reads the wishes, wires the parts, waits for the end.
fn main() {}
