//! What an object may look like.
//!
//! Tables of every Kubernetes type (names, fields, formats, required fields, descriptions, merge keys), and what follows
//! from them: field validation, strategic merge patch, the OpenAPI documents.
//!
//! This crate never knows what a field means, never stores anything and never speaks HTTP. Start reading at `Schemas`.
