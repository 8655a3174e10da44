//! What can be done at a path.

use serde_json::{Map, Value, json};

use super::Resource;
use super::document::{Dialect, Document};
use super::parameters::{self, Parameter};
use super::types::group_version_kind;

/// The kind that a request or an answer is about.
pub(super) type Kind<'a> = (&'a str, &'a str, &'a str);

/// A verb, as the documents know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    List,
    ListAllNamespaces,
    Create,
    DeleteCollection,
    Read,
    Replace,
    Patch,
    Delete,
    ReadLog,
}

impl Verb {
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::List | Self::ListAllNamespaces | Self::Read | Self::ReadLog => "get",
            Self::Create => "post",
            Self::Replace => "put",
            Self::Patch => "patch",
            Self::Delete | Self::DeleteCollection => "delete",
        }
    }

    /// (`x-kubernetes-action`, the first word of the operation's name, the query)
    fn words(self) -> (&'static str, &'static str, &'static [Parameter]) {
        match self {
            Self::List | Self::ListAllNamespaces => ("list", "list", parameters::LIST),
            Self::Create => ("post", "create", parameters::WRITE),
            Self::DeleteCollection => ("deletecollection", "deleteCollection", parameters::LIST),
            Self::Read => ("get", "read", parameters::READ),
            Self::Replace => ("put", "replace", parameters::WRITE),
            Self::Patch => ("patch", "patch", parameters::PATCH),
            Self::Delete => ("delete", "delete", parameters::DELETE),
            Self::ReadLog => ("get", "read", parameters::LOG),
        }
    }
}

/// One operation, about the resource itself or about a subresource.
pub(super) struct Operation<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) resource: &'d Resource<'d>,
    pub(super) subresource: &'d str,
    pub(super) verb: Verb,
    pub(super) kind: Kind<'d>,
}

impl Operation<'_> {
    pub(super) fn json(&self) -> Value {
        let (action, _, query) = self.verb.words();
        let mut parameters: Vec<Value> = query.iter().map(|one| one.json(self.document.dialect)).collect();
        let mut operation = Map::new();
        operation.insert("operationId".into(), self.id().into());
        operation.insert("responses".into(), self.responses());
        operation.insert("tags".into(), json!([tag(self.resource)]));
        operation.insert("x-kubernetes-action".into(), action.into());
        operation.insert("x-kubernetes-group-version-kind".into(), group_version_kind(self.kind));
        match (self.body(), self.document.dialect) {
            (None, _) => {}
            (Some(schema), Dialect::V2) => parameters.push(json!({"name": "body", "in": "body", "schema": schema})),
            (Some(schema), Dialect::V3) => {
                operation.insert("requestBody".into(), json!({"content": self.request_content(&schema)}));
            }
        }
        operation.insert("parameters".into(), parameters.into());
        Value::Object(operation)
    }

    /// As in `createAppsV1NamespacedDeployment`, by which generators name their functions.
    fn id(&self) -> String {
        let Resource { group, version, kind, namespaced, .. } = *self.resource;
        let (_, word, _) = self.verb.words();
        let across = self.verb == Verb::ListAllNamespaces;
        let namespaced = if namespaced && !across { "Namespaced" } else { "" };
        let end = if across { "ForAllNamespaces" } else { "" };
        let (group, version, subresource) = (group_word(group), capital(version), capital(self.subresource));
        format!("{word}{group}{version}{namespaced}{kind}{subresource}{end}")
    }

    fn body(&self) -> Option<Value> {
        match self.verb {
            Verb::Create | Verb::Replace => Some(self.schema_of(self.kind)),
            Verb::Patch => Some(json!({"type": "object"})),
            Verb::Delete | Verb::DeleteCollection => Some(self.schema_of(("", "v1", "DeleteOptions"))),
            Verb::List | Verb::ListAllNamespaces | Verb::Read | Verb::ReadLog => None,
        }
    }

    fn request_content(&self, schema: &Value) -> Value {
        let media: &[&str] = match self.verb {
            Verb::Patch => &[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
            ],
            _ => &["application/json"],
        };
        media.iter().map(|one| ((*one).to_owned(), json!({ "schema": schema }))).collect::<Map<_, _>>().into()
    }

    fn responses(&self) -> Value {
        let code = if self.verb == Verb::Create { "201" } else { "200" };
        let (media, schema) = match self.verb {
            Verb::List | Verb::ListAllNamespaces => ("application/json", self.list_schema()),
            Verb::DeleteCollection => ("application/json", self.schema_of(("", "v1", "Status"))),
            Verb::ReadLog => ("text/plain", json!({"type": "string"})),
            _ => ("application/json", self.schema_of(self.kind)),
        };
        let answer = match self.document.dialect {
            Dialect::V2 => json!({"description": "OK", "schema": schema}),
            Dialect::V3 => json!({"description": "OK", "content": {media: {"schema": schema}}}),
        };
        json!({code: answer, "401": {"description": "Unauthorized"}})
    }

    fn schema_of(&self, (group, version, kind): Kind<'_>) -> Value {
        let Document { schemas, dialect, .. } = *self.document;
        match schemas.of(group, version, kind) {
            Some(ty) => json!({"$ref": dialect.reference(schemas.name(ty))}),
            None => json!({"type": "object"}),
        }
    }

    fn list_schema(&self) -> Value {
        let Document { schemas, dialect, .. } = *self.document;
        match self.document.type_of(self.resource) {
            Some(ty) => json!({"$ref": dialect.reference(&format!("{}List", schemas.name(ty)))}),
            None => json!({"type": "object"}),
        }
    }
}

/// As in `apps_v1`.
fn tag(resource: &Resource<'_>) -> String {
    let group = group_word(resource.group);
    let mut letters = group.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(letters).chain(['_']).chain(resource.version.chars()).collect()
}

/// `RbacAuthorization` of `rbac.authorization.k8s.io`.
fn group_word(group: &str) -> String {
    match group.strip_suffix(".k8s.io").unwrap_or(group) {
        "" => "Core".to_owned(),
        group => group.split('.').map(capital).collect(),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
