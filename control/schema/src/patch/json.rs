//! RFC 6902, within limits.

use json_patch::{CopyOperation, MoveOperation, Patch, PatchOperation};
use serde_json::Value;

use super::PatchError;

/// As many operations as Kubernetes takes.
const MAX_OPERATIONS: usize = 10_000;
/// As many bytes as all copies and moves of one patch may touch together; Kubernetes allows copies as much. Copies that copy
/// copies would double the object with each operation.
const MAX_COPIED: usize = 3 << 20;
/// The bytes that a value counts for beside its text.
const VALUE: usize = 32;
/// As deep as an operation may build. It keeps the result's depth within what recursion bears.
const MAX_DEPTH: usize = 256;

/// Applies a JSON patch.
///
/// # Errors
/// [`PatchError`]: a malformed patch, too many operations or copies, a path that does not exist, a test that fails.
pub fn json(current: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations = read(patch)?;
    let mut object = current.clone();
    let mut budget = MAX_COPIED;
    for (index, operation) in operations.iter().enumerate() {
        guard(&object, operation, &mut budget)?;
        json_patch::patch(&mut object, std::slice::from_ref(operation))
            .map_err(|error| unprocessable(index, operation, &error.kind))?;
    }
    Ok(object)
}

fn read(patch: &Value) -> Result<Vec<PatchOperation>, PatchError> {
    let count = patch.as_array().map_or(0, Vec::len);
    if count > MAX_OPERATIONS {
        let message = format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {count}");
        return Err(PatchError::TooLarge(message));
    }
    let patch: Patch = serde::Deserialize::deserialize(patch)
        .map_err(|error| PatchError::Malformed(format!("error decoding patch: {error}")))?;
    Ok(patch.0)
}

fn unprocessable(index: usize, operation: &PatchOperation, reason: &dyn std::fmt::Display) -> PatchError {
    let name = name(operation);
    PatchError::Unprocessable(format!("operation {index} ({name} {:?}): {reason}", operation.path().as_str()))
}

fn name(operation: &PatchOperation) -> &'static str {
    match operation {
        PatchOperation::Add(_) => "add",
        PatchOperation::Remove(_) => "remove",
        PatchOperation::Replace(_) => "replace",
        PatchOperation::Move(_) => "move",
        PatchOperation::Copy(_) => "copy",
        PatchOperation::Test(_) => "test",
    }
}

/// Refuses what would make the object explode or too deep.
fn guard(object: &Value, operation: &PatchOperation, budget: &mut usize) -> Result<(), PatchError> {
    let depth_of_path = operation.path().tokens().count();
    let depth_of_value = match operation {
        PatchOperation::Move(MoveOperation { from, .. }) | PatchOperation::Copy(CopyOperation { from, .. }) => {
            let Ok(value) = from.resolve(object) else { return Ok(()) };
            let measure = Measure::of(value);
            *budget = budget.checked_sub(measure.bytes).ok_or_else(too_much_copied)?;
            measure.depth
        }
        // What a patch brings is as deep as a parser lets through.
        _ => 0,
    };
    if depth_of_path + depth_of_value > MAX_DEPTH {
        return Err(PatchError::TooLarge(format!("a JSON patch may not build objects deeper than {MAX_DEPTH}")));
    }
    Ok(())
}

fn too_much_copied() -> PatchError {
    PatchError::TooLarge(format!("the copies and moves of a JSON patch may touch {MAX_COPIED} bytes together"))
}

struct Measure {
    bytes: usize,
    depth: usize,
}

impl Measure {
    fn of(value: &Value) -> Self {
        let inner = match value {
            Value::Array(items) => Self::sum(items.iter().map(|item| (0, item))),
            Value::Object(entries) => Self::sum(entries.iter().map(|(key, value)| (key.len(), value))),
            Value::String(text) => Self { bytes: text.len(), depth: 0 },
            _ => Self { bytes: 0, depth: 0 },
        };
        Self { bytes: inner.bytes + VALUE, depth: inner.depth + 1 }
    }

    /// All of the values together, each with the length of its key.
    fn sum<'a>(values: impl Iterator<Item = (usize, &'a Value)>) -> Self {
        values.fold(Self { bytes: 0, depth: 0 }, |sum, (key, value)| {
            let next = Self::of(value);
            Self { bytes: sum.bytes + key + next.bytes, depth: sum.depth.max(next.depth) }
        })
    }
}
