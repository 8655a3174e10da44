//! What a file is, by its first bytes.

/// Why a file cannot be an image of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotWasm {
    /// It is WebAssembly's text format.
    #[error("this is WebAssembly text; assemble it first (wasm-tools parse)")]
    Text,
    /// It is a compressed archive.
    #[error("this is a compressed archive; a bundle is a plain tar archive: unpack it, then `tar -cf`")]
    Compressed,
    /// It is WebAssembly of a version that nobody runs.
    #[error("this is WebAssembly of an unknown version; a component or a core module (version 1) was expected")]
    Version,
    /// It is something else.
    #[error("this is not WebAssembly; a component, a core module or a bundle was expected")]
    Other,
}

const MAGIC: &[u8] = b"\0asm";
const CORE_MODULE: &[u8] = &[0x01, 0, 0, 0];
const COMPONENT: &[u8] = &[0x0d, 0, 0x01, 0];

/// Looks at how a file begins.
pub(super) fn check(head: &[u8]) -> Result<(), NotWasm> {
    match head.strip_prefix(MAGIC) {
        Some(version) if version.starts_with(CORE_MODULE) || version.starts_with(COMPONENT) => Ok(()),
        Some(_) => Err(NotWasm::Version),
        None if is_compressed(head) => Err(NotWasm::Compressed),
        None if head.trim_ascii_start().starts_with(b"(") || head.starts_with(b";;") => Err(NotWasm::Text),
        None => Err(NotWasm::Other),
    }
}

fn is_compressed(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(&[0x1f, 0x8b])
}

/// How many bytes of a file tell what it is.
pub(super) const HEAD: u64 = 512;

/// Whether it is a tar archive, and so may be a bundle.
pub(super) fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

#[cfg(test)]
mod tests {
    use super::{NotWasm, check};

    #[test]
    fn files_are_told_apart_by_their_first_bytes() {
        for (head, expected) in [
            (&b"\0asm\x01\0\0\0rest"[..], Ok(())),
            (b"\0asm\x0d\0\x01\0", Ok(())),
            (b"\0asm\x0a\0\x01\0", Err(NotWasm::Version)),
            (b"\0asm", Err(NotWasm::Version)),
            (b"  (component)", Err(NotWasm::Text)),
            (b"PK\x03\x04....", Err(NotWasm::Compressed)),
            (b"\x7fELF", Err(NotWasm::Other)),
            (b"", Err(NotWasm::Other)),
        ] {
            assert_eq!(check(head), expected, "{head:?}");
        }
    }
}
