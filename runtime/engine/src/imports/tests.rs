//! Nothing that a guest imports reaches a socket of the host past the decision point.
//!
//! Every socket is a resource, so the proof is by types: whatever `wasi:sockets` resource a guest imports, in either version,
//! is one of `sockets/`, which hold nothing but what a `Network` gave them. The stock implementation of each interface
//! cannot be added beside ours, so none of its functions is there, and no source of this crate names it.

use std::fs;
use std::path::Path;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ResourceType};
use wasmtime_wasi::p2::bindings::sockets as stock_p2;
use wasmtime_wasi::p3::bindings::sockets as stock_p3;
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsCtxView};
use wit_parser::{Resolve, TypeDefKind};

use super::*;

/// `package:name/interface@version` and resource, for everything in the vendored WIT of `wasi:sockets`.
fn resources(version: &str) -> Vec<(String, String)> {
    let deps = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit").join(version).join("deps");
    let mut resolve = Resolve::default();
    for file in ["io.wit", "clocks.wit", "sockets.wit"] {
        if let Ok(text) = fs::read_to_string(deps.join(file)) {
            resolve.push_source(file, &text).unwrap();
        }
    }
    let (id, _) = resolve.packages.iter().find(|(_, package)| package.name.name == "sockets").unwrap();
    let interfaces = resolve.packages[id].interfaces.values();
    let mut found = vec![];
    for interface in interfaces {
        let name = resolve.id_of(*interface).unwrap();
        let types = &resolve.interfaces[*interface].types;
        let own = types.iter().filter(|(_, ty)| matches!(resolve.types[**ty].kind, TypeDefKind::Resource));
        found.extend(own.map(|(resource, _)| (name.clone(), resource.clone())));
    }
    found
}

/// What the linker gives a guest that imports the resource.
fn provided(linker: &Linker<Host>, interface: &str, resource: &str) -> ResourceType {
    let text = format!(r#"(component (import "{interface}" (instance (export "{resource}" (type (sub resource))))))"#);
    let component = Component::new(linker.engine(), wat::parse_str(text).unwrap()).unwrap();
    let imported = linker.substituted_component_type(&component).unwrap();
    let (_, instance) = imported.imports(linker.engine()).next().unwrap();
    let ComponentItem::ComponentInstance(instance) = instance.ty else { panic!("{interface} is no instance") };
    let (_, item) = instance.exports(linker.engine()).next().unwrap();
    let ComponentItem::Resource(ty) = item.ty else { panic!("{resource} is no resource") };
    ty
}

fn linked() -> Linker<Host> {
    let mut config = wasmtime::Config::new();
    config.wasm_component_model_async(true);
    linker(&Engine::new(&config).unwrap()).unwrap()
}

#[test]
fn every_socket_that_a_guest_can_hold_is_ours() {
    let linker = linked();
    let ours = sockets::resource_types();
    let all: Vec<_> = ["p2", "p3"].into_iter().flat_map(resources).collect();
    assert_eq!(all.len(), ours.len(), "{all:?}");
    for (interface, resource) in all {
        let provided = provided(&linker, &interface, &resource);
        assert!(ours.contains(&provided), "{interface} {resource} is not of this crate");
    }
}

#[test]
fn no_interface_of_the_stock_sockets_is_left_out_or_can_come_in() {
    fn no_view(_: &mut Host) -> WasiSocketsCtxView<'_> {
        unreachable!("nothing is called")
    }
    let mut linker = linked();
    let options = (&wasmtime_wasi::p2::bindings::LinkOptions::default()).into();
    let refused = [
        stock_p2::instance_network::add_to_linker::<Host, WasiSockets>(&mut linker, no_view),
        stock_p2::network::add_to_linker::<Host, WasiSockets>(&mut linker, &options, no_view),
        stock_p2::ip_name_lookup::add_to_linker::<Host, WasiSockets>(&mut linker, no_view),
        stock_p2::tcp::add_to_linker::<Host, WasiSockets>(&mut linker, no_view),
        stock_p2::tcp_create_socket::add_to_linker::<Host, WasiSockets>(&mut linker, no_view),
        stock_p2::udp::add_to_linker::<Host, WasiSockets>(&mut linker, no_view),
        stock_p2::udp_create_socket::add_to_linker::<Host, WasiSockets>(&mut linker, no_view),
        stock_p3::types::add_to_linker::<Host, WasiSockets>(&mut linker, no_view),
        stock_p3::ip_name_lookup::add_to_linker::<Host, WasiSockets>(&mut linker, no_view),
    ];
    for added in refused {
        let error = added.expect_err("an interface of the stock sockets was not there").to_string();
        assert!(error.contains("defined twice"), "{error}");
    }
}

#[test]
fn no_source_names_the_stock_sockets() {
    let stock =
        ["wasmtime_wasi::sockets", "bindings::sockets", "p3::sockets", "p2::add_to_linker", "p3::add_to_linker"];
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("imports/tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                // Our own modules have the same last names.
                let text = text.replace("sockets::p2::add_to_linker", "").replace("sockets::p3::add_to_linker", "");
                let text = text.replace("wasmtime_wasi_http::p2::add_only_http_to_linker_async", "");
                let text = text.replace("wasmtime_wasi_http::p3::add_to_linker", "");
                for name in stock {
                    assert!(!text.contains(name), "{} names {name}", path.display());
                }
                read += 1;
            }
        }
    }
    assert!(read > 30, "only {read} files were read");
}
