//! Carries bytes to the endpoints of Services.
