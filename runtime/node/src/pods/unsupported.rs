//! What a Pod asks for that this node cannot give yet: said aloud, never passed over.

use k8s_openapi::api::core::v1::Pod;

use super::spec::PodExt;

/// Why the Pod cannot run here, if it cannot.
pub(crate) fn refusal(pod: &Pod) -> Option<String> {
    if pod.spec().and_then(|spec| spec.host_network) == Some(true) {
        return Some("hostNetwork is not supported: a WebAssembly Pod never has the host's network".to_owned());
    }
    None
}
