use wasmtime::Engine;
use wasmtime::component::ResourceType;
use wasmtime::component::types::{Component, ComponentFunc, ComponentInstance, ComponentItem};

/// The names of a program's interfaces that are not WASI's: what it needs of its siblings, and offers to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// Imports, such as `shop:prices/quotes@1.0.0`.
    pub imports: Vec<String>,
    /// Exports.
    pub exports: Vec<String>,
}

/// The same with all that linking needs.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) imports: Side,
    pub(crate) exports: Side,
}

/// The interfaces of one side, and the resources in them.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) interfaces: Vec<Interface>,
    /// Each resource once, however many interfaces use it; its place is its number.
    pub(crate) resources: Vec<ResourceType>,
}

pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) functions: Vec<(String, ComponentFunc)>,
    /// By the name that the interface gives it: the number in [`Side::resources`].
    pub(crate) resources: Vec<(String, usize)>,
}

impl Own {
    pub(crate) fn of(ty: &Component, engine: &Engine) -> Own {
        let imports: Vec<_> = ty.imports(engine).map(|(name, item)| (name, item.ty)).collect();
        let exports: Vec<_> = ty.exports(engine).map(|(name, item)| (name, item.ty)).collect();
        // A resource of WASI's lives in the store of whoever has it.
        let foreign: Vec<ResourceType> = imports
            .iter()
            .filter(|(name, _)| is_wasi(name))
            .flat_map(|(_, item)| {
                let instance = instance(item);
                instance
                    .into_iter()
                    .flat_map(|instance| resources(instance, engine))
                    .map(|(_, ty)| ty)
                    .collect::<Vec<_>>()
            })
            .collect();
        let imports = Side::of(&imports, &foreign, engine);
        let of_imports: Vec<ResourceType> = foreign.iter().chain(&imports.resources).copied().collect();
        Own { exports: Side::of(&exports, &of_imports, engine), imports }
    }

    pub(crate) fn names(&self) -> Interfaces {
        let names = |side: &Side| side.interfaces.iter().map(|interface| interface.name.clone()).collect();
        Interfaces { imports: names(&self.imports), exports: names(&self.exports) }
    }
}

impl Side {
    fn of(items: &[(&str, ComponentItem)], foreign: &[ResourceType], engine: &Engine) -> Side {
        let mut side = Side::default();
        for (name, item) in items.iter().filter(|(name, _)| is_interface(name) && !is_wasi(name)) {
            if let Some(instance) = instance(item) {
                side.add(name, instance, foreign, engine);
            }
        }
        side
    }

    /// An interface of types alone has nothing to link.
    fn add(&mut self, name: &str, instance: &ComponentInstance, foreign: &[ResourceType], engine: &Engine) {
        let functions: Vec<_> = instance.exports(engine).filter_map(|(name, item)| function(name, item.ty)).collect();
        let own: Vec<_> = resources(instance, engine).filter(|(_, ty)| !foreign.contains(ty)).collect();
        if functions.is_empty() && own.is_empty() {
            return;
        }
        let resources = own.into_iter().map(|(name, ty)| (name, self.number(ty))).collect();
        self.interfaces.push(Interface { name: name.to_owned(), functions, resources });
    }

    fn number(&mut self, ty: ResourceType) -> usize {
        self.resources.iter().position(|known| *known == ty).unwrap_or_else(|| {
            self.resources.push(ty);
            self.resources.len() - 1
        })
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.interfaces.iter().position(|interface| interface.name == name)
    }
}

fn instance(item: &ComponentItem) -> Option<&ComponentInstance> {
    match item {
        ComponentItem::ComponentInstance(instance) => Some(instance),
        _ => None,
    }
}

fn function(name: &str, item: ComponentItem) -> Option<(String, ComponentFunc)> {
    match item {
        ComponentItem::ComponentFunc(ty) => Some((name.to_owned(), ty)),
        _ => None,
    }
}

fn resources<'a>(
    instance: &'a ComponentInstance,
    engine: &'a Engine,
) -> impl Iterator<Item = (String, ResourceType)> + 'a {
    instance.exports(engine).filter_map(|(name, item)| match item.ty {
        ComponentItem::Resource(ty) => Some((name.to_owned(), ty)),
        _ => None,
    })
}

fn is_wasi(name: &str) -> bool {
    name.starts_with("wasi:")
}

/// `package:name/interface`; what has no package is between a component and its own host.
fn is_interface(name: &str) -> bool {
    name.split_once(':').is_some_and(|(_, rest)| rest.contains('/'))
}
