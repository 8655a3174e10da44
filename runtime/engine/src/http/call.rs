use std::future::pending;
use std::sync::Arc;

use http::Request;
use parking_lot::Mutex;
use wasmtime::component::{Accessor, Resource, TypedFuncCallConcurrent};
use wasmtime::{AsContextMut, StoreContextMut, format_err};
use wasmtime_wasi_http::handler::{Prepared, Proxy};
use wasmtime_wasi_http::p2::bindings::Proxy as ProxyP2;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

use super::exchange::ReplySender;
use crate::host::Host;

/// One call of the guest's handler.
///
/// If the guest traps, nothing is sent: the instance as a whole ends, and says why through its lease. (The `Prepared` of
/// wasmtime-wasi-http answers such a 0.2 request with an error of its own that hides the trap.)
pub(super) enum Call<'a> {
    P2 { guest: &'a ProxyP2, call: TypedFuncCallConcurrent<Host, HandleP2, ()>, reply: Reply },
    P3(Prepared<'a, Host>),
}

type HandleP2 = (Resource<HostIncomingRequest>, Resource<HostResponseOutparam>);
/// The guest answers through a resource, and may return without having done so.
type Reply = Arc<Mutex<Option<ReplySender>>>;

impl<'a> Call<'a> {
    pub(super) fn new(
        accessor: &Accessor<Host>,
        proxy: &'a Proxy,
        request: Request<WasiBody>,
        reply: ReplySender,
    ) -> wasmtime::Result<Call<'a>> {
        accessor.with(|mut store| match proxy {
            Proxy::P2(guest) => Call::p2(store.as_context_mut(), guest, request, reply),
            Proxy::P3(_) => Prepared::new(store.as_context_mut(), proxy, request, Host::http, reply).map(Call::P3),
        })
    }

    fn p2(
        mut store: StoreContextMut<'_, Host>,
        guest: &'a ProxyP2,
        request: Request<WasiBody>,
        reply: ReplySender,
    ) -> wasmtime::Result<Call<'a>> {
        let reply = Arc::new(Mutex::new(Some(reply)));
        let set = reply.clone();
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request)?;
        let out = http.new_response_outparam_from_callback(move |response| {
            if let Some(reply) = set.lock().take() {
                // The caller may be gone.
                let _ = reply.send(response.map_err(Into::into));
            }
        })?;
        let call = guest.wasi_http_incoming_handler().func_handle().start_call_concurrent(store, (request, out))?;
        Ok(Call::P2 { guest, call, reply })
    }

    /// Ends when the guest has returned from its handler; the response may have been sent before.
    pub(super) async fn run(self, accessor: &Accessor<Host>) -> wasmtime::Result<()> {
        match self {
            // Time-outs are kept outside: while a guest is busy nothing in here is polled.
            Call::P3(prepared) => prepared.run(accessor, pending()).await.map(drop),
            Call::P2 { guest, call, reply } => {
                guest.wasi_http_incoming_handler().func_handle().finish_call_concurrent(accessor, call).await?;
                if let Some(reply) = reply.lock().take() {
                    let _ = reply.send(Err(format_err!("the component returned without a response")));
                }
                Ok(())
            }
        }
    }
}
