//! The addresses of the resources and what can be done there.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::Resource;
use super::document::Document;
use super::operations::{Kind, Operation, Verb};
use super::parameters;

pub(super) struct Paths<'d>(pub(super) &'d Document<'d>);

impl Serialize for Paths<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut paths = serializer.serialize_map(None)?;
        for resource in &self.0.resources {
            for item in items(self.0, resource) {
                paths.serialize_entry(&item.path, &item)?;
            }
        }
        paths.end()
    }
}

/// One path.
struct Item<'d> {
    document: &'d Document<'d>,
    resource: &'d Resource<'d>,
    subresource: &'d str,
    kind: Kind<'d>,
    path: String,
    verbs: &'static [Verb],
}

fn items<'d>(document: &'d Document<'d>, resource: &'d Resource<'d>) -> Vec<Item<'d>> {
    let root = format!("/{}", resource.group_version());
    let collection = match resource.namespaced {
        true => format!("{root}/namespaces/{{namespace}}/{}", resource.plural),
        false => format!("{root}/{}", resource.plural),
    };
    let own = (resource.group, resource.version, resource.kind);
    let item = |path, subresource, kind, verbs| Item { document, resource, subresource, kind, path, verbs };
    if resource.asked {
        return vec![item(collection, "", own, &[Verb::Create])];
    }
    let mut items = Vec::new();
    if resource.namespaced {
        items.push(item(format!("{root}/{}", resource.plural), "", own, &[Verb::ListAllNamespaces]));
    }
    items.push(item(collection.clone(), "", own, &[Verb::List, Verb::Create, Verb::DeleteCollection]));
    let object = format!("{collection}/{{name}}");
    items.push(item(object.clone(), "", own, &[Verb::Read, Verb::Replace, Verb::Patch, Verb::Delete]));
    for subresource in resource.subresources {
        let (kind, verbs) = subresource_kind(subresource, own);
        items.push(item(format!("{object}/{subresource}"), subresource, kind, verbs));
    }
    items
}

fn subresource_kind<'d>(subresource: &str, own: Kind<'d>) -> (Kind<'d>, &'static [Verb]) {
    match subresource {
        "scale" => (("autoscaling", "v1", "Scale"), &[Verb::Read, Verb::Replace, Verb::Patch]),
        "binding" => (("", "v1", "Binding"), &[Verb::Create]),
        "eviction" => (("policy", "v1", "Eviction"), &[Verb::Create]),
        "token" => (("authentication.k8s.io", "v1", "TokenRequest"), &[Verb::Create]),
        "log" => (own, &[Verb::ReadLog]),
        "finalize" => (own, &[Verb::Replace]),
        _ => (own, &[Verb::Read, Verb::Replace, Verb::Patch]),
    }
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut item = serializer.serialize_map(None)?;
        for &verb in self.verbs {
            item.serialize_entry(verb.method(), &self.operation(verb).json())?;
        }
        item.serialize_entry("parameters", &self.parameters())?;
        item.end()
    }
}

impl Item<'_> {
    fn operation(&self, verb: Verb) -> Operation<'_> {
        let Self { document, resource, subresource, kind, .. } = *self;
        Operation { document, resource, subresource, verb, kind }
    }

    fn parameters(&self) -> Vec<Value> {
        let names = ["namespace", "name"].into_iter().filter(|name| self.path.contains(&format!("{{{name}}}")));
        names.map(|name| parameters::in_path(self.document.dialect, name)).collect()
    }
}
