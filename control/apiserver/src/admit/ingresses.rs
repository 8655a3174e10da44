//! Ingresses and the classes they name.

use carob_resources::{ingress_class, is_default_ingress_class};
use serde_json::{Value, json};

use super::claims::newest_default;
use crate::verbs::Call;

/// An Ingress that names no class gets the default one, if there is one; of several the newest.
pub(super) fn default_class(call: &Call, ingress: &mut Value) {
    if ingress_class(ingress).is_some() {
        return;
    }
    let classes = call.api.registry().of("networking.k8s.io", "ingressclasses");
    if let Some(name) = classes.and_then(|classes| newest_default(classes, is_default_ingress_class)) {
        ingress["spec"]["ingressClassName"] = json!(name);
    }
}
