use std::fmt;

/// Where a field stands, written as Kubernetes writes it: `spec.containers[0].ports`, `metadata.labels[app]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// The path of a field at the top of the object; dots may name fields below.
    pub fn new(field: &str) -> Path {
        Path(field.to_owned())
    }

    /// A field of this one.
    #[must_use]
    pub fn child(&self, field: &str) -> Path {
        if self.0.is_empty() { Path::new(field) } else { Path([self.0.as_str(), ".", field].concat()) }
    }

    /// An item of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Path {
        Path(format!("{}[{index}]", self.0))
    }

    /// An entry of this map.
    #[must_use]
    pub fn key(&self, key: &str) -> Path {
        Path([self.0.as_str(), "[", key, "]"].concat())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
