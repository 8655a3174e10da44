//! Makes what is into what should be.
