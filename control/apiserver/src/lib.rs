//! The only door.
