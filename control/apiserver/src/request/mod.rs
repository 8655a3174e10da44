//! What a request asks for, parsed once.

mod accept;
mod query;
mod target;

pub(crate) use accept::{Form, accepted};
pub(crate) use query::Query;
pub(crate) use target::{Address, Discovery, Document, OpenId, PROXY, Target};
