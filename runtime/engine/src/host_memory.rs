//! What the host holds for one instance, to be counted with the instance's own memory.
//!
//! Sockets' buffers are not here: their [`Network`](carob_net::Network) bounds them for the Pod as a whole.

use std::any::Any;

use http::HeaderMap;
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::p2::body::{HostIncomingBody, HostOutgoingBody};
use wasmtime_wasi_http::p2::types::{
    HostFutureIncomingResponse, HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse,
};
use wasmtime_wasi_http::{FieldMap, p3};

use crate::bounds::{BODY_BYTES, RESOURCE_BYTES, UNCOUNTED_BYTES};

/// A header's name, value and place beside their bytes.
const EACH_HEADER: usize = 64;

/// Bytes that are held for what is in `table`, beyond what every instance may have.
pub(crate) fn held_for(table: &mut ResourceTable) -> u64 {
    let held: usize = table.iter_mut().map(|resource| RESOURCE_BYTES + beside(resource)).sum();
    held.saturating_sub(UNCOUNTED_BYTES) as u64
}

/// What a resource holds beside itself: the most, where what it holds now cannot be seen.
fn beside(resource: &dyn Any) -> usize {
    if let Some(headers) = headers_of(resource) {
        return headers.iter().map(|(name, value)| name.as_str().len() + value.len() + EACH_HEADER).sum();
    }
    let has_body = resource.is::<HostOutgoingBody>()
        || resource.is::<HostIncomingBody>()
        || resource.is::<HostFutureIncomingResponse>();
    if has_body { BODY_BYTES } else { 0 }
}

fn headers_of(resource: &dyn Any) -> Option<&HeaderMap> {
    let p2_request = || resource.downcast_ref().map(|request: &HostOutgoingRequest| &request.headers);
    let p2_response = || resource.downcast_ref().map(|response: &HostOutgoingResponse| &response.headers);
    let p2_answer = || resource.downcast_ref().map(|response: &HostIncomingResponse| &response.headers);
    let p3_request = || resource.downcast_ref().map(|request: &p3::Request| &request.headers);
    let p3_response = || resource.downcast_ref().map(|response: &p3::Response| &response.headers);
    let fields: Option<&FieldMap> = resource.downcast_ref();
    let fields = fields.or_else(p2_request).or_else(p2_response).or_else(p2_answer);
    fields.or_else(p3_request).or_else(p3_response).map(|fields| &**fields)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cpu::Meter;
    use crate::outgoing::Outgoing;

    fn fields(length: usize) -> FieldMap {
        let headers = HeaderMap::from_iter([(http::header::COOKIE, "x".repeat(length).parse().unwrap())]);
        let network = Arc::new(carob_net::Unplugged);
        FieldMap::new_immutable(&mut Outgoing::new(network, Arc::default(), Meter::of_nobody()), headers)
    }

    #[test]
    fn what_is_counted_follows_what_is_held() {
        let mut table = ResourceTable::new();
        for _ in 0..UNCOUNTED_BYTES / RESOURCE_BYTES {
            table.push(()).unwrap();
        }
        assert_eq!(held_for(&mut table), 0, "every instance has some");
        table.push(()).unwrap();
        assert_eq!(held_for(&mut table), RESOURCE_BYTES as u64);
        let headers = RESOURCE_BYTES + "cookie".len() + 30_000 + EACH_HEADER;
        let kept = table.push(fields(30_000)).unwrap();
        assert_eq!(held_for(&mut table), (RESOURCE_BYTES + headers) as u64);
        let status = http::StatusCode::OK;
        table.push(HostOutgoingResponse { status, headers: fields(30_000), body: None }).unwrap();
        assert_eq!(held_for(&mut table), (RESOURCE_BYTES + 2 * headers) as u64);
        table.delete(kept).unwrap();
        assert_eq!(held_for(&mut table), (RESOURCE_BYTES + headers) as u64);
    }
}
