//! All types, read once from the text in the binary.

mod load;

use std::sync::LazyLock;

use crate::shape::{Content, Description, Field, Shape, ShapeRef, Type, TypeRef};

static BUILTIN: LazyLock<Schemas> = LazyLock::new(|| load::load(include_str!("tables/types.txt")));
static DESCRIPTIONS: &str = include_str!("tables/descriptions.txt");

/// The tables of types. About 100 KiB of memory: names and descriptions stay in the binary.
#[derive(Debug)]
pub struct Schemas {
    /// In the order of their names.
    types: Vec<Type>,
    fields: Vec<Field>,
    /// Shapes inside lists and maps.
    inner: Vec<Shape>,
    /// In the order of group, version, kind.
    kinds: Vec<Kind>,
}

#[derive(Debug)]
struct Kind {
    name: (&'static str, &'static str, &'static str),
    ty: TypeRef,
}

impl Schemas {
    /// The types of Kubernetes itself.
    #[must_use]
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// The type of a kind; the core group is `""`. `DeleteOptions` is known in every group.
    #[must_use]
    pub fn of(&self, group: &str, version: &str, kind: &str) -> Option<TypeRef> {
        let name = if kind == "DeleteOptions" { ("", "v1", kind) } else { (group, version, kind) };
        let index = self.kinds.binary_search_by(|known| known.name.cmp(&name)).ok()?;
        Some(self.kinds[index].ty)
    }

    /// The schema name of a type, as in `io.k8s.api.core.v1.Pod`.
    #[must_use]
    pub fn name(&self, ty: TypeRef) -> &'static str {
        self.ty(ty).name
    }

    pub(crate) fn named(&self, name: &str) -> Option<TypeRef> {
        let index = self.types.binary_search_by(|known| known.name.cmp(name)).ok()?;
        u16::try_from(index).ok().map(TypeRef)
    }

    pub(crate) fn ty(&self, ty: TypeRef) -> &Type {
        &self.types[usize::from(ty.0)]
    }

    pub(crate) fn inner(&self, shape: ShapeRef) -> Shape {
        self.inner[usize::from(shape.0)]
    }

    /// The fields of a struct; none for any other type.
    pub(crate) fn fields(&self, ty: TypeRef) -> &[Field] {
        match &self.ty(ty).content {
            Content::Struct(range) => &self.fields[range.clone()],
            Content::Alias(_) => &[],
        }
    }

    pub(crate) fn field(&self, ty: TypeRef, name: &str) -> Option<&Field> {
        let fields = self.fields(ty);
        fields.binary_search_by(|field| field.name.cmp(name)).ok().map(|index| &fields[index])
    }

    /// Follows the names of scalar types; a struct stays a `Ref`.
    pub(crate) fn resolve(&self, shape: Shape) -> Shape {
        match shape {
            Shape::Ref(ty) => match self.ty(ty).content {
                Content::Struct(_) => shape,
                Content::Alias(alias) => self.resolve(alias),
            },
            _ => shape,
        }
    }

    /// The kinds that are of a type, as (group, version, kind).
    pub(crate) fn kinds_of(&self, ty: TypeRef) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        self.kinds.iter().filter(move |kind| kind.ty == ty).map(|kind| kind.name)
    }
}

/// All descriptions by number, each a JSON string. The index is built for one document and dropped with it.
pub(crate) struct Descriptions(Vec<&'static str>);

impl Descriptions {
    pub(crate) fn read() -> Self {
        Self(DESCRIPTIONS.lines().collect())
    }

    pub(crate) fn json(&self, description: Description) -> &'static str {
        self.0.get(usize::from(description.0)).copied().unwrap_or("\"\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Topology;

    #[test]
    fn the_tables_hold_every_stable_kind() {
        let schemas = Schemas::builtin();
        assert!(schemas.types.len() > 450, "{}", schemas.types.len());
        assert!(schemas.fields.len() > 2000, "{}", schemas.fields.len());
        for (group, version, kind) in [
            ("", "v1", "Pod"),
            ("", "v1", "Event"),
            ("apps", "v1", "Deployment"),
            ("autoscaling", "v1", "Scale"),
            ("events.k8s.io", "v1", "Event"),
            ("policy", "v1", "Eviction"),
            ("storage.k8s.io", "v1", "DeleteOptions"),
        ] {
            assert!(schemas.of(group, version, kind).is_some(), "{group}/{version} {kind}");
        }
        assert_eq!(schemas.of("apps", "v1", "Pod"), None);
    }

    #[test]
    fn a_field_carries_its_facts() {
        let schemas = Schemas::builtin();
        let container = schemas.named("io.k8s.api.core.v1.Container").unwrap();
        let ports = schemas.field(container, "ports").unwrap();
        assert_eq!(ports.topology, Topology::ListMap("containerPort,protocol"));
        assert_eq!(ports.patch.merge_key, Some("containerPort"));
        assert!(ports.patch.merges());
        assert!(schemas.field(container, "name").unwrap().required);
        let image = schemas.field(container, "image").unwrap().description.unwrap();
        assert!(Descriptions::read().json(image).contains("Container image name"));
    }

    #[test]
    fn metadata_is_required_of_no_kind() {
        let schemas = Schemas::builtin();
        let pod = schemas.of("", "v1", "Pod").unwrap();
        assert!(!schemas.field(pod, "metadata").unwrap().required);
        assert_eq!(schemas.name(pod), "io.k8s.api.core.v1.Pod");
    }

    #[test]
    fn every_description_is_a_json_string() {
        for line in DESCRIPTIONS.lines() {
            serde_json::from_str::<String>(line).unwrap();
        }
    }

    #[test]
    fn every_strategic_merge_of_objects_has_a_key_that_exists() {
        let schemas = Schemas::builtin();
        for field in schemas.fields.iter().filter(|field| field.patch.merges()) {
            let Shape::List(items) = field.shape else { panic!("{} is no list", field.name) };
            if let Shape::Ref(ty) = schemas.inner(items) {
                let key = field.patch.merge_key.unwrap_or_else(|| panic!("{} has no key", field.name));
                assert!(schemas.field(ty, key).is_some(), "{}: no field {key}", field.name);
            }
        }
    }
}
