//! Random identifiers.

/// A UUID of version 4, by this thread's own generator: the system is not asked for each.
pub(crate) fn uuid() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}
