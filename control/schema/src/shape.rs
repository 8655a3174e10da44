//! The words the tables are written in.

use std::ops::Range;

/// A handle to one type of the tables: two bytes, valid as long as the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeRef(pub(crate) u16);

/// A handle to a shape that stands inside another one, as the items of a list do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShapeRef(pub(crate) u16);

/// Which JSON a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Whatever JSON there is, kept as it came.
    Any,
    /// An object whose content is kept as it came.
    Object,
    String,
    Boolean,
    Int32,
    Int64,
    Double,
    /// A string of base64.
    Byte,
    /// RFC 3339, to the second.
    Time,
    /// RFC 3339, to the microsecond.
    MicroTime,
    /// A number or a string with a suffix; always a string in what we keep.
    Quantity,
    IntOrString,
    List(ShapeRef),
    Map(ShapeRef),
    Ref(TypeRef),
}

/// One named type. Texts are slices of the tables in the binary.
#[derive(Debug)]
pub(crate) struct Type {
    /// As in `io.k8s.api.core.v1.Pod`.
    pub(crate) name: &'static str,
    pub(crate) description: Option<Description>,
    pub(crate) content: Content,
}

impl Type {
    /// `Pod` of `io.k8s.api.core.v1.Pod`.
    pub(crate) fn short_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// `v1` of `io.k8s.api.core.v1.Pod`.
    pub(crate) fn version(&self) -> &'static str {
        self.name.rsplit('.').nth(1).unwrap_or_default()
    }
}

#[derive(Debug)]
pub(crate) enum Content {
    /// The range of its fields, which are in the order of their names.
    Struct(Range<usize>),
    Alias(Shape),
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) description: Option<Description>,
    pub(crate) required: bool,
    pub(crate) topology: Topology,
    pub(crate) patch: PatchStrategy,
}

/// The number of a line in the table of descriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Description(pub(crate) u16);

/// How server-side apply looks at a list or map (`x-kubernetes-list-type`, `x-kubernetes-map-type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topology {
    /// A list is atomic, a map is granular.
    Default,
    AtomicMap,
    Set,
    /// A list whose items are known by these fields, with commas between them.
    ListMap(&'static str),
}

/// How a strategic merge patch looks at a field (`x-kubernetes-patch-strategy`, `x-kubernetes-patch-merge-key`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PatchStrategy {
    /// As Kubernetes writes it: `merge,retainKeys`; empty by default.
    pub(crate) name: &'static str,
    pub(crate) merge_key: Option<&'static str>,
}

impl PatchStrategy {
    pub(crate) fn merges(self) -> bool {
        self.name.split(',').any(|word| word == "merge")
    }

    pub(crate) fn replaces(self) -> bool {
        self.name == "replace"
    }
}
