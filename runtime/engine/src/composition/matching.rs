//! Whether an import means what an export gives.

use wasmtime::component::ResourceType;
use wasmtime::component::types::{ComponentFunc, Type};

/// The resources that are the same on both sides: the import's and the export's.
pub(super) struct Pairs(pub(super) Vec<(ResourceType, ResourceType)>);

/// What calling a function takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Whether handles cross with it.
    pub(super) resources: bool,
}

/// Compares two functions; the error says what differs, or what cannot cross.
pub(super) fn function(import: &ComponentFunc, export: &ComponentFunc, pairs: &Pairs) -> Result<Needs, String> {
    if import.async_() != export.async_() {
        let word = |is_async| if is_async { "async" } else { "not async" };
        return Err(format!("it is {} here and {} there", word(import.async_()), word(export.async_())));
    }
    let (mine, theirs) = (import.params(), export.params());
    if mine.len() != theirs.len() || import.results().len() != export.results().len() {
        return Err("the number of its parameters or results differs".into());
    }
    let mut needs = Needs::default();
    for ((name, mine), (_, theirs)) in mine.zip(theirs) {
        pairs.compare(&mine, &theirs, &mut needs).map_err(|why| format!("its parameter {name}: {why}"))?;
    }
    for (mine, theirs) in import.results().zip(export.results()) {
        pairs.compare(&mine, &theirs, &mut needs).map_err(|why| format!("its result: {why}"))?;
    }
    Ok(needs)
}

impl Pairs {
    fn compare(&self, import: &Type, export: &Type, needs: &mut Needs) -> Result<(), String> {
        match (import, export) {
            (Type::Own(mine), Type::Own(theirs)) | (Type::Borrow(mine), Type::Borrow(theirs)) => {
                needs.resources = true;
                self.resource(*mine, *theirs)
            }
            (Type::List(mine), Type::List(theirs)) => self.compare(&mine.ty(), &theirs.ty(), needs),
            (Type::FixedLengthList(mine), Type::FixedLengthList(theirs)) if mine.len() == theirs.len() => {
                self.compare(&mine.ty(), &theirs.ty(), needs)
            }
            (Type::Map(mine), Type::Map(theirs)) => {
                self.compare(&mine.key(), &theirs.key(), needs)?;
                self.compare(&mine.value(), &theirs.value(), needs)
            }
            (Type::Option(mine), Type::Option(theirs)) => self.compare(&mine.ty(), &theirs.ty(), needs),
            (Type::Result(mine), Type::Result(theirs)) => {
                self.optional(mine.ok(), theirs.ok(), needs)?;
                self.optional(mine.err(), theirs.err(), needs)
            }
            (Type::Tuple(mine), Type::Tuple(theirs)) => {
                self.all(mine.types().map(|ty| ("", Some(ty))), theirs.types().map(|ty| ("", Some(ty))), needs)
            }
            (Type::Record(mine), Type::Record(theirs)) => self.all(
                mine.fields().map(|field| (field.name, Some(field.ty))),
                theirs.fields().map(|field| (field.name, Some(field.ty))),
                needs,
            ),
            (Type::Variant(mine), Type::Variant(theirs)) => self.all(
                mine.cases().map(|case| (case.name, case.ty)),
                theirs.cases().map(|case| (case.name, case.ty)),
                needs,
            ),
            (Type::Enum(mine), Type::Enum(theirs)) if mine.names().eq(theirs.names()) => Ok(()),
            (Type::Flags(mine), Type::Flags(theirs)) if mine.names().eq(theirs.names()) => Ok(()),
            (Type::Future(_), _) | (Type::Stream(_), _) | (Type::ErrorContext, _) => {
                Err("futures, streams and error contexts cannot cross between containers; use a list".into())
            }
            (mine, theirs) if is_plain(mine) && mine == theirs => Ok(()),
            (mine, theirs) => Err(format!("{} here and {} there", name(mine), name(theirs))),
        }
    }

    fn resource(&self, mine: ResourceType, theirs: ResourceType) -> Result<(), String> {
        if self.0.contains(&(mine, theirs)) {
            return Ok(());
        }
        Err("it is a handle to a resource that the exporting component does not define in this interface, so that it \
             cannot cross between containers"
            .into())
    }

    fn optional(&self, mine: Option<Type>, theirs: Option<Type>, needs: &mut Needs) -> Result<(), String> {
        match (mine, theirs) {
            (Some(mine), Some(theirs)) => self.compare(&mine, &theirs, needs),
            (None, None) => Ok(()),
            _ => Err("a case has a value on one side only".into()),
        }
    }

    fn all<'a>(
        &self,
        mine: impl ExactSizeIterator<Item = (&'a str, Option<Type>)>,
        theirs: impl ExactSizeIterator<Item = (&'a str, Option<Type>)>,
        needs: &mut Needs,
    ) -> Result<(), String> {
        if mine.len() != theirs.len() {
            return Err(format!("{} parts here and {} there", mine.len(), theirs.len()));
        }
        for ((mine_name, mine), (theirs_name, theirs)) in mine.zip(theirs) {
            if mine_name != theirs_name {
                return Err(format!("{mine_name} here and {theirs_name} there"));
            }
            self.optional(mine, theirs, needs)
                .map_err(|why| if mine_name.is_empty() { why } else { format!("{mine_name}: {why}") })?;
        }
        Ok(())
    }
}

/// Types whose equality needs no look at resources.
fn is_plain(ty: &Type) -> bool {
    !matches!(
        ty,
        Type::List(_)
            | Type::FixedLengthList(_)
            | Type::Map(_)
            | Type::Option(_)
            | Type::Result(_)
            | Type::Tuple(_)
            | Type::Record(_)
            | Type::Variant(_)
            | Type::Own(_)
            | Type::Borrow(_)
    )
}

fn name(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "a bool",
        Type::S8 => "an s8",
        Type::U8 => "a u8",
        Type::S16 => "an s16",
        Type::U16 => "a u16",
        Type::S32 => "an s32",
        Type::U32 => "a u32",
        Type::S64 => "an s64",
        Type::U64 => "a u64",
        Type::Float32 => "an f32",
        Type::Float64 => "an f64",
        Type::Char => "a char",
        Type::String => "a string",
        Type::List(_) | Type::FixedLengthList(_) => "a list",
        Type::Map(_) => "a map",
        Type::Record(_) => "a record",
        Type::Tuple(_) => "a tuple",
        Type::Variant(_) => "a variant",
        Type::Enum(_) => "an enum",
        Type::Option(_) => "an option",
        Type::Result(_) => "a result",
        Type::Flags(_) => "flags",
        Type::Own(_) => "an owned handle",
        Type::Borrow(_) => "a borrowed handle",
        Type::Future(_) => "a future",
        Type::Stream(_) => "a stream",
        Type::ErrorContext => "an error context",
    }
}
