//! A whole document, written field by field.

use std::collections::BTreeSet;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

use super::Resource;
use super::lists::ListType;
use super::paths::Paths;
use super::types::NamedType;
use crate::shape::{Content, Shape, TypeRef};
use crate::tables::{Descriptions, Schemas};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V3,
}

impl Dialect {
    pub(super) fn reference(self, name: &str) -> String {
        match self {
            Self::V2 => format!("#/definitions/{name}"),
            Self::V3 => format!("#/components/schemas/{name}"),
        }
    }
}

pub(super) struct Document<'a> {
    pub(super) dialect: Dialect,
    version: &'a str,
    pub(super) resources: Vec<Resource<'a>>,
    pub(super) schemas: &'static Schemas,
    pub(super) descriptions: Descriptions,
}

impl<'a> Document<'a> {
    pub(super) fn new(dialect: Dialect, version: &'a str, resources: Vec<Resource<'a>>) -> Self {
        Self { dialect, version, resources, schemas: Schemas::builtin(), descriptions: Descriptions::read() }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a document has string keys and no values that JSON lacks")
    }

    pub(super) fn type_of(&self, resource: &Resource<'_>) -> Option<TypeRef> {
        self.schemas.of(resource.group, resource.version, resource.kind)
    }

    /// Everything that the resources and their operations name, directly or not.
    fn types(&self) -> BTreeSet<TypeRef> {
        let mut found = BTreeSet::new();
        let common = [("", "v1", "DeleteOptions"), ("", "v1", "Status")];
        let subresources = [
            ("autoscaling", "v1", "Scale"),
            ("", "v1", "Binding"),
            ("policy", "v1", "Eviction"),
            ("authentication.k8s.io", "v1", "TokenRequest"),
        ];
        for (group, version, kind) in common.into_iter().chain(subresources) {
            self.reach(self.schemas.of(group, version, kind), &mut found);
        }
        self.reach(self.schemas.named("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"), &mut found);
        for resource in &self.resources {
            self.reach(self.type_of(resource), &mut found);
        }
        found
    }

    fn reach(&self, ty: Option<TypeRef>, found: &mut BTreeSet<TypeRef>) {
        let Some(ty) = ty.filter(|ty| found.insert(*ty)) else { return };
        for field in self.schemas.fields(ty) {
            self.reach(self.named_in(field.shape), found);
        }
        if let Content::Alias(shape) = self.schemas.ty(ty).content {
            self.reach(self.named_in(shape), found);
        }
    }

    fn named_in(&self, shape: Shape) -> Option<TypeRef> {
        match shape {
            Shape::Ref(ty) => Some(ty),
            Shape::List(of) | Shape::Map(of) => self.named_in(self.schemas.inner(of)),
            _ => None,
        }
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_map(None)?;
        match self.dialect {
            Dialect::V2 => document.serialize_entry("swagger", "2.0")?,
            Dialect::V3 => document.serialize_entry("openapi", "3.0.0")?,
        }
        document.serialize_entry("info", &json!({"title": "Kubernetes", "version": self.version}))?;
        document.serialize_entry("paths", &Paths(self))?;
        match self.dialect {
            Dialect::V2 => document.serialize_entry("definitions", &Definitions(self))?,
            Dialect::V3 => document.serialize_entry("components", &Components(self))?,
        }
        document.end()
    }
}

struct Components<'d>(&'d Document<'d>);

impl Serialize for Components<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut components = serializer.serialize_map(Some(1))?;
        components.serialize_entry("schemas", &Definitions(self.0))?;
        components.end()
    }
}

struct Definitions<'d>(&'d Document<'d>);

impl Serialize for Definitions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let document = self.0;
        let mut definitions = serializer.serialize_map(None)?;
        for ty in document.types() {
            definitions.serialize_entry(document.schemas.name(ty), &NamedType { document, ty })?;
        }
        for resource in &document.resources {
            if let Some(list) = ListType::of(document, resource) {
                definitions.serialize_entry(&list.name(), &list)?;
            }
        }
        definitions.end()
    }
}
