use std::borrow::Cow;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wasmparser::{BinaryReader, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::compile::CompileError;

/// The component that `wasm` is, or that a WASI 0.1 command module becomes with the adapter for it.
pub(crate) fn component(wasm: &[u8]) -> Result<Cow<'_, [u8]>, CompileError> {
    if Parser::is_component(wasm) {
        return Ok(wasm.into());
    }
    if !Parser::is_core_wasm(wasm) {
        return Err(CompileError::NotWasm { begins: wasm.iter().take(8).copied().collect() });
    }
    let module = with_exit_code(wasm).unwrap_or(wasm.into());
    let wrapped = ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| {
            encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)
        })
        .and_then(|mut encoder| encoder.encode());
    wrapped.map(Into::into).map_err(|error| CompileError::Module(format!("{error:#}")))
}

/// `proc_exit`, as a module's import section names it: two names with their lengths, and 0 for "function".
const PROC_EXIT: &[u8] = b"\x16wasi_snapshot_preview1\x09proc_exit\x00";
/// A function of the same core type that keeps the code; the adapter's `proc_exit` passes on only whether it is 0.
const EXIT_WITH_CODE: &[u8] = b"\x14wasi:cli/exit@0.2.12\x0eexit-with-code\x00";
const WORLD: &str = "
    package carob:wrap;
    world command { import wasi:cli/exit@0.2.12; }
    package wasi:cli@0.2.12 {
        interface exit { exit: func(status: result); exit-with-code: func(status-code: u8); }
    }";

/// The module with its import of `proc_exit` replaced, if it has one.
fn with_exit_code(wasm: &[u8]) -> Option<Cow<'_, [u8]>> {
    let section = Parser::new(0).parse_all(wasm).find_map(|payload| match payload.ok()? {
        Payload::ImportSection(section) => Some(section.range()),
        _ => None,
    })?;
    let body = &wasm[section.clone()];
    let at = body.windows(PROC_EXIT.len()).position(|window| window == PROC_EXIT)?;
    let imports = [&body[..at], EXIT_WITH_CODE, &body[at + PROC_EXIT.len()..]].concat();
    let head = section.start - length_before(&wasm[..section.start], body.len())?;
    let mut module = [&wasm[..head], &length(imports.len()), &imports, &wasm[section.end..]].concat();
    let mut wit = Resolve::default();
    let package = wit.push_source("wrap.wit", WORLD).ok()?;
    let world = wit.select_world(&[package], None).ok()?;
    embed_component_metadata(&mut module, &wit, world, StringEncoding::UTF8).ok()?;
    Some(module.into())
}

/// How many bytes the length of a section takes that begins where `wasm` ends; linkers may pad it.
fn length_before(wasm: &[u8], expected: usize) -> Option<usize> {
    (1..=5).find(|taken| {
        let mut reader = BinaryReader::new(&wasm[wasm.len() - taken..], 0);
        reader.read_var_u32().is_ok_and(|found| found as usize == expected) && reader.eof()
    })
}

/// The shortest LEB128 of a section's length.
fn length(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXITS: &str = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (call $exit (i32.const 5))))"#;

    #[test]
    fn the_exit_code_is_kept_whichever_way_the_sections_length_is_written() {
        let plain = wat::parse_str(EXITS).unwrap();
        let padded = padded(&plain);
        for module in [plain, padded] {
            assert!(with_exit_code(&module).is_some());
            assert!(Parser::is_component(&component(&module).unwrap()));
        }
    }

    #[test]
    fn a_module_that_does_not_exit_is_left_as_it_is() {
        let module = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).unwrap();
        assert!(with_exit_code(&module).is_none());
        assert!(component(&module).is_ok());
    }

    /// The same module with the length of its import section in five bytes.
    fn padded(module: &[u8]) -> Vec<u8> {
        let at = module.windows(PROC_EXIT.len()).position(|window| window == PROC_EXIT).unwrap();
        // Before the import's name: the section's length, and the number of imports.
        let length = module[at - 2];
        let padding = [length | 0x80, 0x80, 0x80, 0x80, 0];
        [&module[..at - 2], &padding, &module[at - 1..]].concat()
    }
}
