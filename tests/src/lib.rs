//! Knows only what a user can know.
