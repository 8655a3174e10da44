//! Strategic merge patch: a merge patch that knows, from the tables, which lists are merged and by which key.
//!
//! The rules are those of Kubernetes' `strategicpatch` package: `StrategicMergePatch` with parallel lists merged and
//! unmatched nulls ignored, which is what its API server does.

use serde_json::{Map, Value};

use super::PatchError;
use super::directives::{self, DELETE_FROM_LIST, Directive, PATCH, SET_ELEMENT_ORDER};
use super::order::{self, Identity};
use crate::shape::{PatchStrategy, Shape, TypeRef};
use crate::tables::Schemas;

impl Schemas {
    /// Applies a strategic merge patch to an object of the type.
    ///
    /// # Errors
    /// [`PatchError::Malformed`], naming the directive, the list or the item that is wrong.
    pub fn strategic_merge(&self, ty: TypeRef, current: &Value, patch: &Value) -> Result<Value, PatchError> {
        let Value::Object(patch) = patch else {
            return Err(PatchError::malformed("a strategic merge patch is a JSON object"));
        };
        let mut object = current.as_object().cloned().unwrap_or_default();
        Merger { schemas: self }.object(Shape::Ref(ty), &mut object, patch)?;
        Ok(Value::Object(object))
    }
}

struct Merger<'s> {
    schemas: &'s Schemas,
}

impl Merger<'_> {
    fn object(
        &self,
        shape: Shape,
        target: &mut Map<String, Value>,
        patch: &Map<String, Value>,
    ) -> Result<(), PatchError> {
        match directives::directive(patch)? {
            Directive::Delete => target.clear(),
            Directive::Replace => *target = directives::entries_data(patch),
            Directive::Merge => {
                directives::retain_keys(target, patch)?;
                self.entries(shape, target, patch)?;
            }
        }
        Ok(())
    }

    /// Deletions from lists come first, so that one patch may delete a scalar and set the order without it.
    fn entries(
        &self,
        shape: Shape,
        target: &mut Map<String, Value>,
        patch: &Map<String, Value>,
    ) -> Result<(), PatchError> {
        for (key, values) in patch {
            if let Some(field) = key.strip_prefix(DELETE_FROM_LIST) {
                delete_from_list(target, field, directives::list(key, values)?);
            }
        }
        for (key, value) in patch {
            if let Some(field) = key.strip_prefix(SET_ELEMENT_ORDER) {
                self.ordered_list(shape, target, field, patch.get(field), directives::list(key, value)?)?;
            } else if !directives::is_directive(key) && !patch.contains_key(&format!("{SET_ELEMENT_ORDER}{key}")) {
                self.entry(shape, target, key, value)?;
            }
        }
        Ok(())
    }

    fn entry(&self, shape: Shape, target: &mut Map<String, Value>, key: &str, patch: &Value) -> Result<(), PatchError> {
        if patch.is_null() {
            target.remove(key);
            return Ok(());
        }
        let (shape, strategy) = self.field(shape, key);
        match (target.get_mut(key), patch) {
            (Some(Value::Object(target)), Value::Object(patch)) if !strategy.replaces() => {
                self.object(shape, target, patch)?;
            }
            (Some(target @ Value::Array(_)), Value::Array(patch)) if strategy.merges() => {
                let live = target.as_array().cloned().unwrap_or_default();
                *target = Value::Array(self.merged_list(shape, strategy, live, patch)?);
            }
            (_, Value::Object(patch)) => {
                directives::directive(patch)?;
                set(target, key, directives::data(&Value::Object(patch.clone())));
            }
            (_, patch) => set(target, key, directives::data(patch)),
        }
        Ok(())
    }

    /// A list whose order the patch gives, and whose items it may give.
    fn ordered_list(
        &self,
        shape: Shape,
        target: &mut Map<String, Value>,
        field: &str,
        patch: Option<&Value>,
        wanted: &[Value],
    ) -> Result<(), PatchError> {
        let (shape, strategy) = self.field(shape, field);
        let identity = Identity { merge_key: strategy.merge_key };
        let live = match target.get(field) {
            None | Some(Value::Null) => None,
            Some(Value::Array(items)) => Some(items.clone()),
            Some(_) => return Err(PatchError::Malformed(format!("{field} of the object is not a list"))),
        };
        let patch = match patch {
            Some(Value::Null) => return self.entry(shape, target, field, &Value::Null),
            Some(patch) => Some(directives::list(field, patch)?),
            None => None,
        };
        order::limit(wanted.len() + live.as_ref().map_or(0, Vec::len))?;
        order::check(patch.unwrap_or_default(), wanted, identity)?;
        let merged = match (live.clone(), patch) {
            (None, None) => return Ok(()),
            (Some(live), None) => live,
            (None, Some(patch)) => patch.iter().filter_map(directives::data).collect(),
            (Some(live), Some(patch)) if strategy.merges() => self.merged_list(shape, strategy, live, patch)?,
            (Some(_), Some(patch)) => patch.iter().filter_map(directives::data).collect(),
        };
        let ordered = order::restore(merged, wanted, &live.unwrap_or_default(), identity);
        target.insert(field.to_owned(), Value::Array(ordered));
        Ok(())
    }

    fn merged_list(
        &self,
        shape: Shape,
        strategy: PatchStrategy,
        live: Vec<Value>,
        patch: &[Value],
    ) -> Result<Vec<Value>, PatchError> {
        let identity = Identity { merge_key: strategy.merge_key };
        order::limit(live.len() + patch.len())?;
        let before = live.clone();
        let merged = match strategy.merge_key {
            Some(_) => self.merged_objects(self.items(shape), identity, live, patch)?,
            None => merged_scalars(live, patch)?,
        };
        Ok(order::restore(merged, patch, &before, identity))
    }

    fn merged_objects(
        &self,
        shape: Shape,
        identity: Identity<'_>,
        mut list: Vec<Value>,
        patch: &[Value],
    ) -> Result<Vec<Value>, PatchError> {
        let items = patch.iter().map(entries_of).collect::<Result<Vec<_>, _>>()?;
        let mut additions = Vec::new();
        for (item, entries) in patch.iter().zip(items) {
            match directives::directive(entries)? {
                Directive::Replace => list.clear(),
                Directive::Delete => {
                    let deleted = identity.require(item)?;
                    list.retain(|live| identity.of(live) != Some(deleted));
                }
                Directive::Merge if entries.contains_key(PATCH) => {
                    return Err(PatchError::malformed("merging lists cannot yet be specified in the patch"));
                }
                Directive::Merge => additions.push((identity.require(item)?, entries)),
            }
        }
        for (key, entries) in additions {
            match identity.position(&list, key).map(|index| &mut list[index]) {
                Some(Value::Object(target)) => self.object(shape, target, entries)?,
                _ => list.push(Value::Object(directives::entries_data(entries))),
            }
        }
        Ok(list)
    }

    /// What the tables say about a field; what is unknown is merged as a plain merge patch would.
    fn field(&self, shape: Shape, name: &str) -> (Shape, PatchStrategy) {
        match self.schemas.resolve(shape) {
            Shape::Ref(ty) => match self.schemas.field(ty, name) {
                Some(field) => (self.schemas.resolve(field.shape), field.patch),
                None => (Shape::Any, PatchStrategy::default()),
            },
            Shape::Map(of) => (self.schemas.resolve(self.schemas.inner(of)), PatchStrategy::default()),
            _ => (Shape::Any, PatchStrategy::default()),
        }
    }

    fn items(&self, shape: Shape) -> Shape {
        match shape {
            Shape::List(of) => self.schemas.resolve(self.schemas.inner(of)),
            _ => Shape::Any,
        }
    }
}

fn set(target: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    match value {
        Some(value) => target.insert(key.to_owned(), value),
        None => target.remove(key),
    };
}

fn entries_of(item: &Value) -> Result<&Map<String, Value>, PatchError> {
    item.as_object()
        .ok_or_else(|| PatchError::Malformed(format!("the list is merged by a key, but {item} is no object")))
}

fn merged_scalars(mut list: Vec<Value>, patch: &[Value]) -> Result<Vec<Value>, PatchError> {
    for item in patch {
        if item.is_object() || item.is_array() {
            return Err(PatchError::Malformed(format!("the list holds scalars, {item} is none")));
        }
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
    Ok(list)
}

fn delete_from_list(target: &mut Map<String, Value>, field: &str, values: &[Value]) {
    if let Some(Value::Array(items)) = target.get_mut(field) {
        items.retain(|item| !values.contains(item));
    }
}
