use wasmtime::component::Accessor;

use super::ip_name_lookup::{ErrorCode, Host, HostWithStore};
use super::types::IpAddress;
use crate::sockets::lookup::resolve;
use crate::sockets::{Sockets, SocketsView};

impl Host for SocketsView<'_> {}

impl<T> HostWithStore<T> for Sockets {
    async fn resolve_addresses(
        store: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Vec<IpAddress>, ErrorCode>> {
        let answer = match store.with(|mut store| resolve(store.get().sockets.network.as_ref(), &name)) {
            Ok(lookup) => lookup.await,
            Err(code) => Err(code),
        };
        Ok(answer.map(|found| found.into_iter().map(Into::into).collect()).map_err(Into::into))
    }
}
