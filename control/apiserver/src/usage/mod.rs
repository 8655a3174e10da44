//! `metrics.k8s.io/v1beta1`: what nodes and Pods use.
//!
//! Nothing of it is kept: each answer is made of what the nodes' kubelets say, which is asked again when it is older than a
//! moment (`scrape.rs`), and of the Pods and Nodes that the request selects (`shape.rs`).

mod scrape;
mod shape;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::response::Response;
use carob_resources::{Resource, Scope, table};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use self::scrape::Scraper;
use self::shape::Summary;
use crate::{
    ApiServer,
    cache::{Entry, Selection},
    request::{Address, Form, Query},
    status::{Status, json_response},
};

/// The resource that an address names, if it is one of these.
pub(crate) fn find(address: &Address) -> Option<&'static Resource> {
    carob_resources::computed().iter().find(|resource| {
        (resource.group, resource.version, resource.plural)
            == (address.group.as_str(), address.version.as_str(), address.resource.as_str())
    })
}

/// A request to read.
pub(crate) struct Read<'a> {
    pub(crate) api: &'a ApiServer,
    pub(crate) resource: &'static Resource,
    pub(crate) address: Address,
    pub(crate) verb: &'static str,
    pub(crate) query: Query,
}

pub(crate) async fn answer(read: Read<'_>, headers: &HeaderMap) -> Result<Response, Status> {
    check_place(&read)?;
    let form = Form::negotiate(headers)?;
    let entries = read.selected()?;
    let summaries = read.summaries(&entries).await;
    let items = read.items(&entries, &summaries);
    match read.verb {
        "list" => read.many(form, items),
        _ => read.one(form, items),
    }
}

fn check_place(read: &Read<'_>) -> Result<(), Status> {
    let namespaced = read.resource.scope == Scope::Namespaced;
    let in_namespace = !read.address.namespace.is_empty();
    let misplaced = in_namespace && !namespaced || namespaced && !in_namespace && !read.address.name.is_empty();
    if misplaced || !read.address.subresource.is_empty() {
        return Err(Status::no_such_path());
    }
    if !matches!(read.verb, "get" | "list") {
        return Err(Status::method_not_allowed());
    }
    Ok(())
}

impl Read<'_> {
    /// The Pods or Nodes that the request is about; those that have ended use nothing.
    fn selected(&self) -> Result<Vec<Arc<Entry>>, Status> {
        let served = self.api.registry().core(self.resource.plural).ok_or_else(Status::no_such_path)?;
        let selection = Selection::parse(served.resource, &self.address, &self.query)?;
        let mut entries = served.cache.snapshot(&selection.prefix(), None).entries;
        entries.retain(|entry| selection.matches(entry));
        Ok(entries)
    }

    /// What the nodes say that these entries are, or are on. A node that does not answer is left out.
    async fn summaries(&self, entries: &[Arc<Entry>]) -> HashMap<String, Arc<Summary>> {
        let nodes: BTreeSet<&str> = entries.iter().filter_map(|entry| self.node(entry)).collect();
        self.api.scraper().summaries(&*self.api.config().nodes, nodes).await
    }

    fn node<'e>(&self, entry: &'e Entry) -> Option<&'e str> {
        match self.resource.plural {
            "nodes" => Some(entry.name()),
            _ => entry.field("spec.nodeName").filter(|node| !node.is_empty()),
        }
    }

    fn items(&self, entries: &[Arc<Entry>], summaries: &HashMap<String, Arc<Summary>>) -> Vec<Value> {
        let now = Timestamp::now();
        let item = |entry: &Arc<Entry>| {
            let summary = summaries.get(self.node(entry)?)?;
            match self.resource.plural {
                "nodes" => shape::node(&entry.object(), summary, now),
                _ => shape::pod(&entry.object(), summary.pod(entry.namespace(), entry.name())?, now),
            }
        };
        entries.iter().filter_map(item).collect()
    }

    fn one(&self, form: Form, mut items: Vec<Value>) -> Result<Response, Status> {
        let missing = || Status::not_found(self.resource, &self.address.name);
        let item = items.pop().ok_or_else(missing)?;
        Ok(json_response(
            StatusCode::OK,
            &match form {
                Form::Object => item,
                Form::Metadata => metadata_only(item),
                Form::Table => self.table(&[item])?,
            },
        ))
    }

    fn many(&self, form: Form, items: Vec<Value>) -> Result<Response, Status> {
        let list = |kind: String, version: &str, items: Vec<Value>| json!({ "kind": kind, "apiVersion": version, "metadata": {}, "items": items });
        Ok(json_response(
            StatusCode::OK,
            &match form {
                Form::Object => list(format!("{}List", self.resource.kind), shape::VERSION, items),
                Form::Metadata => list(
                    "PartialObjectMetadataList".to_owned(),
                    "meta.k8s.io/v1",
                    items.into_iter().map(metadata_only).collect(),
                ),
                Form::Table => self.table(&items)?,
            },
        ))
    }

    fn table(&self, items: &[Value]) -> Result<Value, Status> {
        let wish = self.query.get("includeObject").unwrap_or_default();
        let include = table::Include::parse(wish)
            .ok_or_else(|| Status::bad_request(format!("unrecognized includeObject value: {wish:?}")))?;
        Ok(table::table(self.resource, items, Timestamp::now(), include))
    }
}

fn metadata_only(mut item: Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"].take() })
}
