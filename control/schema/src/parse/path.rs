//! Where the reader is: a list on the stack, so that nothing is allocated until something is wrong.

use std::fmt::Write as _;

use crate::shape::TypeRef;

#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Field { parent: &'a Path<'a>, owner: TypeRef, name: &'a str },
    Key { parent: &'a Path<'a>, name: &'a str },
    Index { parent: &'a Path<'a>, index: usize },
}

impl Path<'_> {
    /// `spec.containers[0].foo`
    pub(super) fn with(&self, name: &str) -> String {
        let mut text = String::new();
        self.write(&mut text);
        dotted(&mut text, name);
        text
    }

    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Field { parent, .. } | Self::Key { parent, .. } | Self::Index { parent, .. } => 1 + parent.depth(),
        }
    }

    /// The innermost struct, and the way to its field through fields alone: `spec.containers.ports`.
    pub(super) fn field(&self) -> Option<(TypeRef, String)> {
        match self {
            Self::Root => None,
            Self::Key { parent, .. } | Self::Index { parent, .. } => parent.field(),
            Self::Field { parent, owner, name } => {
                let mut text = parent.field().map(|(_, text)| text).unwrap_or_default();
                dotted(&mut text, name);
                Some((*owner, text))
            }
        }
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Root => {}
            Self::Field { parent, name, .. } | Self::Key { parent, name } => {
                parent.write(text);
                dotted(text, name);
            }
            Self::Index { parent, index } => {
                parent.write(text);
                let _ = write!(text, "[{index}]");
            }
        }
    }
}

fn dotted(text: &mut String, name: &str) {
    if !text.is_empty() {
        text.push('.');
    }
    text.push_str(name);
}
