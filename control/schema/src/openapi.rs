//! The `OpenAPI` documents: version 2 (one document), version 3 (an index, and a document for each group and version).
//!
//! They are written on demand, straight into bytes: a tree of one document would take ten times its size in memory, and a
//! cluster is asked for them seldom. Who serves them may keep the bytes; [`OpenApi::hash`] says when they change.

mod document;
mod gnostic;
mod lists;
mod operations;
mod parameters;
mod paths;
mod types;

use std::collections::BTreeSet;

use serde_json::json;

use self::document::{Dialect, Document};

/// One resource that is served.
#[derive(Debug, Clone, Copy, Hash)]
pub struct Resource<'a> {
    /// `""` for the core group.
    pub group: &'a str,
    /// As in `v1`.
    pub version: &'a str,
    /// As in `Deployment`.
    pub kind: &'a str,
    /// As in `deployments`.
    pub plural: &'a str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether its objects are questions, which are only posted.
    pub asked: bool,
    /// As in `status`, `scale`, `log`.
    pub subresources: &'a [&'a str],
}

impl Resource<'_> {
    /// `api/v1` or `apis/apps/v1`
    fn group_version(&self) -> String {
        match self.group {
            "" => format!("api/{}", self.version),
            group => format!("apis/{group}/{}", self.version),
        }
    }
}

/// The documents of an API server.
#[derive(Debug, Clone, Copy)]
pub struct OpenApi<'a> {
    /// Everything that is served.
    pub resources: &'a [Resource<'a>],
    /// The version of the server, as in `v1.37.0`.
    pub version: &'a str,
}

impl OpenApi<'_> {
    /// The document of version 2, as JSON.
    #[must_use]
    pub fn v2(&self) -> Vec<u8> {
        Document::new(Dialect::V2, self.version, self.resources.to_vec()).write()
    }

    /// The same as protobuf: gnostic's `openapi_v2.Document`.
    #[must_use]
    pub fn v2_protobuf(&self) -> Vec<u8> {
        gnostic::encode(&self.v2()).expect("the messages know all that the documents hold, as the tests of each say")
    }

    /// The index of version 3: which documents there are.
    #[must_use]
    pub fn v3_index(&self) -> Vec<u8> {
        let names: BTreeSet<String> = self.resources.iter().map(Resource::group_version).collect();
        let entry =
            |name: &String| json!({ "serverRelativeURL": format!("/openapi/v3/{name}?hash={}", self.hash(name)) });
        let paths: serde_json::Map<_, _> = names.iter().map(|name| (name.clone(), entry(name))).collect();
        json!({ "paths": paths }).to_string().into_bytes()
    }

    /// The document of one group and version, named as in the index (`api/v1`, `apis/apps/v1`), if it is served.
    #[must_use]
    pub fn v3(&self, group_version: &str) -> Option<Vec<u8>> {
        let resources = self.of(group_version);
        (!resources.is_empty()).then(|| Document::new(Dialect::V3, self.version, resources).write())
    }

    /// What a document depends on, in short: the same hash, the same document.
    #[must_use]
    pub fn hash(&self, group_version: &str) -> String {
        let facts = format!("{} {} {:?}", env!("CARGO_PKG_VERSION"), self.version, self.of(group_version));
        format!("{:016X}", fnv1a(facts.as_bytes()))
    }

    /// The same for what depends on all of them: the document of version 2, and the index of version 3.
    #[must_use]
    pub fn hash_of_all(&self) -> String {
        let facts = format!("{} {} {:?}", env!("CARGO_PKG_VERSION"), self.version, self.resources);
        format!("{:016X}", fnv1a(facts.as_bytes()))
    }

    fn of(&self, group_version: &str) -> Vec<Resource<'_>> {
        self.resources.iter().filter(|resource| resource.group_version() == group_version).copied().collect()
    }
}

/// Not for secrets: the same on every machine and in every build is all it has to be.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
