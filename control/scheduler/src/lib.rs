//! Decides where.
