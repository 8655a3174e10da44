//! The type of a resource's list, which the tables do not hold: all are alike.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

use super::Resource;
use super::document::Document;
use super::types::group_version_kind;
use crate::shape::TypeRef;

pub(super) struct ListType<'d> {
    document: &'d Document<'d>,
    resource: &'d Resource<'d>,
    item: TypeRef,
}

impl<'d> ListType<'d> {
    pub(super) fn of(document: &'d Document<'d>, resource: &'d Resource<'d>) -> Option<Self> {
        document.type_of(resource).filter(|_| !resource.asked).map(|item| Self { document, resource, item })
    }

    /// As in `io.k8s.api.core.v1.PodList`.
    pub(super) fn name(&self) -> String {
        format!("{}List", self.document.schemas.name(self.item))
    }
}

impl Serialize for ListType<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Resource { group, version, kind, .. } = *self.resource;
        let list = format!("{kind}List");
        let items = self.document.dialect.reference(self.document.schemas.name(self.item));
        let metadata = self.document.dialect.reference("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta");
        let mut schema = serializer.serialize_map(None)?;
        schema.serialize_entry("description", &format!("{list} is a list of {kind} objects."))?;
        schema.serialize_entry("type", "object")?;
        schema.serialize_entry(
            "properties",
            &json!({
                "apiVersion": {"type": "string"},
                "items": {"type": "array", "items": {"$ref": items}},
                "kind": {"type": "string"},
                "metadata": {"$ref": metadata},
            }),
        )?;
        schema.serialize_entry("required", &["items"])?;
        let kinds = [group_version_kind((group, version, &list))];
        schema.serialize_entry("x-kubernetes-group-version-kind", &kinds)?;
        schema.end()
    }
}
