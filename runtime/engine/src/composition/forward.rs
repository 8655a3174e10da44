//! The importer's side of a call.

use wasmtime::component::{Accessor, Linker, LinkerInstance, ResourceAny, ResourceDynamic, ResourceType, Val};
use wasmtime::{AsContextMut, StoreContextMut, format_err};

use super::interfaces::{Interface, Side};
use super::link::{Fit, Target};
use super::message::{Handle, Message};
use crate::host::Host;

/// Gives `linker` a forwarding function for each function of `imports`. Where it leads stands with each store, so that all
/// containers of a program share these.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>, imports: &Side) -> wasmtime::Result<()> {
    for (import, interface) in imports.interfaces.iter().enumerate() {
        add_interface(&mut linker.instance(&interface.name)?, import, interface)?;
    }
    Ok(())
}

fn add_interface(linker: &mut LinkerInstance<Host>, import: usize, interface: &Interface) -> wasmtime::Result<()> {
    for (name, number) in &interface.resources {
        linker.resource(name, ResourceType::host_dynamic(*number as u32), |mut store, proxy| {
            store.data_mut().proxies().remove(proxy).map(drop)
        })?;
    }
    for (function, (name, ty)) in interface.functions.iter().enumerate() {
        let place = Place { import, function };
        if ty.async_() {
            linker.func_new_concurrent(name, move |accessor, _, arguments, results| {
                Box::pin(place.call_concurrent(accessor, arguments, results))
            })?;
        } else {
            linker.func_new_async(name, move |store, _, arguments, results| {
                Box::new(place.call(store, arguments, results))
            })?;
        }
    }
    Ok(())
}

/// A function of an import.
#[derive(Clone, Copy)]
struct Place {
    import: usize,
    function: usize,
}

impl Place {
    async fn call(
        self,
        mut store: StoreContextMut<'_, Host>,
        arguments: &[Val],
        results: &mut [Val],
    ) -> wasmtime::Result<()> {
        let links = store.data().links().clone();
        let (exporter, fit) = links[self.import].exporter().await?;
        let target = fit.functions[self.function];
        let message = pack(&mut store, arguments, target)?;
        let answer = exporter.call(target, message).await?;
        unpack(&mut store, &fit, answer, results)
    }

    async fn call_concurrent(
        self,
        accessor: &Accessor<Host>,
        arguments: &[Val],
        results: &mut [Val],
    ) -> wasmtime::Result<()> {
        let links = accessor.with(|mut access| access.get().links().clone());
        let (exporter, fit) = links[self.import].exporter().await?;
        let target = fit.functions[self.function];
        let message = accessor.with(|mut access| pack(&mut access.as_context_mut(), arguments, target))?;
        let answer = exporter.call(target, message).await?;
        accessor.with(|mut access| unpack(&mut access.as_context_mut(), &fit, answer, results))
    }
}

fn pack(store: &mut StoreContextMut<'_, Host>, arguments: &[Val], target: Target) -> wasmtime::Result<Message> {
    Message::pack(arguments.to_vec(), target.needs.resources, |resource| take(store, resource))
}

fn take(store: &mut StoreContextMut<'_, Host>, resource: ResourceAny) -> wasmtime::Result<Handle> {
    let resource = resource.try_into_resource_dynamic(store.as_context_mut())?;
    let (proxies, owned) = (store.data_mut().proxies(), resource.owned());
    let remote = if owned { proxies.remove(resource.rep())? } else { proxies.get(resource.rep())? };
    Ok(Handle { remote, owned })
}

fn unpack(
    store: &mut StoreContextMut<'_, Host>,
    fit: &Fit,
    answer: Message,
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let values = answer.unpack(|handle| {
        let number = fit.resources.get(handle.remote.kind).copied().flatten();
        let number =
            number.ok_or_else(|| format_err!("the result is a resource that this component does not import"))?;
        let proxy = store.data_mut().proxies().insert(handle.remote)?;
        ResourceDynamic::new_own(proxy, number as u32).try_into_resource_any(store.as_context_mut())
    })?;
    for (slot, value) in results.iter_mut().zip(values) {
        *slot = value;
    }
    Ok(())
}
