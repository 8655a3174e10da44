//! Values on their way from one store to another.

use std::sync::Arc;

use wasmtime::component::Val;

use super::resources::Remote;

/// Arguments or results. Handles mean something in one store only, so they are taken out and travel beside.
#[derive(Default)]
pub(super) struct Message {
    pub(super) values: Vec<Val>,
    /// In the order in which a walk over `values` meets their places, see [`each_handle`].
    pub(super) handles: Vec<(usize, Handle)>,
}

/// A handle to a resource of the exporter's.
pub(super) struct Handle {
    pub(super) remote: Arc<Remote>,
    /// Given away, or lent for the call.
    pub(super) owned: bool,
}

impl Message {
    /// Takes the handles out of `values` by `take`, where there can be any.
    pub(super) fn pack(
        mut values: Vec<Val>,
        has_handles: bool,
        mut take: impl FnMut(wasmtime::component::ResourceAny) -> wasmtime::Result<Handle>,
    ) -> wasmtime::Result<Message> {
        let mut handles = Vec::new();
        if has_handles {
            walk(&mut values, &mut 0, &mut |place, value| {
                if let Val::Resource(resource) = value {
                    handles.push((place, take(*resource)?));
                    // Whatever stands here is replaced on the other side.
                    *value = Val::Bool(false);
                }
                Ok(())
            })?;
        }
        Ok(Message { values, handles })
    }

    /// Puts handles of another store in, by `give`.
    pub(super) fn unpack(
        self,
        mut give: impl FnMut(Handle) -> wasmtime::Result<wasmtime::component::ResourceAny>,
    ) -> wasmtime::Result<Vec<Val>> {
        let Message { mut values, handles } = self;
        let mut handles = handles.into_iter().peekable();
        if handles.peek().is_some() {
            walk(&mut values, &mut 0, &mut |place, value| {
                if let Some((_, handle)) = handles.next_if(|(at, _)| *at == place) {
                    *value = Val::Resource(give(handle)?);
                }
                Ok(())
            })?;
        }
        Ok(values)
    }
}

type Visit<'a> = dyn FnMut(usize, &mut Val) -> wasmtime::Result<()> + 'a;

/// Visits every value, also within others, always in the same order; the number is its place in that order.
fn walk(values: &mut [Val], place: &mut usize, visit: &mut Visit<'_>) -> wasmtime::Result<()> {
    values.iter_mut().try_for_each(|value| walk_one(value, place, visit))
}

fn walk_one(value: &mut Val, place: &mut usize, visit: &mut Visit<'_>) -> wasmtime::Result<()> {
    *place += 1;
    visit(*place, value)?;
    match value {
        Val::List(values) | Val::Tuple(values) | Val::FixedLengthList(values) => walk(values, place, visit),
        Val::Record(fields) => fields.iter_mut().try_for_each(|(_, value)| walk_one(value, place, visit)),
        Val::Map(entries) => entries.iter_mut().try_for_each(|(key, value)| {
            walk_one(key, place, visit)?;
            walk_one(value, place, visit)
        }),
        Val::Variant(_, Some(value))
        | Val::Option(Some(value))
        | Val::Result(Ok(Some(value)))
        | Val::Result(Err(Some(value))) => walk_one(value, place, visit),
        _ => Ok(()),
    }
}
