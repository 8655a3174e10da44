use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wasmparser::Parser;
use wit_component::ComponentEncoder;

use crate::compile::CompileError;

/// The component that `wasm` is, or that a WASI 0.1 command module becomes with the adapter for it.
pub(crate) fn component(wasm: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, CompileError> {
    if Parser::is_component(wasm) {
        return Ok(wasm.into());
    }
    if !Parser::is_core_wasm(wasm) {
        return Err(CompileError::NotWasm { begins: wasm.iter().take(8).copied().collect() });
    }
    let wrapped = ComponentEncoder::default()
        .module(wasm)
        .and_then(|encoder| {
            encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)
        })
        .and_then(|mut encoder| encoder.encode());
    wrapped.map(Into::into).map_err(|error| CompileError::Module(format!("{error:#}")))
}
