//! What there is of an exporter's instance: its functions, and the resources that others hold of it.

use std::collections::HashMap;

use wasmtime::component::{Func, Instance, ResourceAny, ResourceType};
use wasmtime::{Store, format_err};

use super::exporter::Exporter;
use crate::bounds::LENT;
use crate::host::Host;
use crate::program::Compiled;

/// The instance's functions and resource types, as the program numbers them.
pub(super) struct Exports {
    pub(super) functions: Vec<Vec<(Func, usize)>>,
    pub(super) resources: Vec<ResourceType>,
}

impl Exports {
    pub(super) fn find(store: &mut Store<Host>, instance: &Instance, program: &Compiled) -> wasmtime::Result<Exports> {
        let side = &program.own.exports;
        let mut functions = Vec::new();
        let mut resources = vec![None; side.resources.len()];
        for interface in &side.interfaces {
            let missing = |name: &str| format_err!("{} has no {name}", interface.name);
            let place = instance.get_export_index(&mut *store, None, &interface.name);
            let place = place.ok_or_else(|| missing("instance"))?;
            let mut of_interface = Vec::new();
            for (name, ty) in &interface.functions {
                let index = instance.get_export_index(&mut *store, Some(&place), name).ok_or_else(|| missing(name))?;
                let func = instance.get_func(&mut *store, index).ok_or_else(|| missing(name))?;
                of_interface.push((func, ty.results().len()));
            }
            for (name, number) in &interface.resources {
                let index = instance.get_export_index(&mut *store, Some(&place), name).ok_or_else(|| missing(name))?;
                resources[*number] = instance.get_resource(&mut *store, index);
            }
            functions.push(of_interface);
        }
        let resources: Option<Vec<_>> = resources.into_iter().collect();
        Ok(Exports { functions, resources: resources.ok_or_else(|| format_err!("a resource has no type"))? })
    }
}

/// The resources that importers hold, by the numbers that they know.
#[derive(Default)]
pub(super) struct Held {
    pub(super) resources: HashMap<u32, ResourceAny>,
    last: u32,
}

impl Held {
    pub(super) fn insert(&mut self, resource: ResourceAny) -> wasmtime::Result<u32> {
        if self.resources.len() >= LENT {
            return Err(format_err!("sibling containers hold too many of its resources: at most {LENT}"));
        }
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.resources.contains_key(&self.last) {
                self.resources.insert(self.last, resource);
                return Ok(self.last);
            }
        }
    }

    /// Runs the destructors of what nobody holds any more.
    pub(super) async fn drop_released(&mut self, store: &mut Store<Host>, exporter: &Exporter) -> wasmtime::Result<()> {
        for id in exporter.take_released() {
            if let Some(resource) = self.resources.remove(&id) {
                resource.resource_drop_async(&mut *store).await?;
            }
        }
        Ok(())
    }
}
