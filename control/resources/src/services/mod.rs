//! Services.

mod print;

use crate::json::text;
use crate::resource::{Resource, Scope, Subresource};
use crate::{Column, NameGrammar, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const SERVICES: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    scope: Scope::Namespaced,
    subresources: &[Subresource::Status],
    storage: "services",
    strategy: &Services,
};

struct Services;

impl Strategy for Services {
    fn name_grammar(&self) -> NameGrammar {
        NameGrammar::Label1035
    }

    fn prepare_create(&self, service: &mut Value, _now: Timestamp) {
        crate::json::set(service, "status", json!({ "loadBalancer": {} }));
    }

    fn has_generation(&self) -> bool {
        false
    }

    fn columns(&self) -> &'static [Column] {
        print::COLUMNS
    }

    fn cells(&self, service: &Value, now: Timestamp) -> Vec<Value> {
        print::cells(service, now)
    }

    fn selectable_fields(&self, service: &Value) -> Vec<(&'static str, String)> {
        vec![
            ("spec.clusterIP", text(service, "/spec/clusterIP").to_owned()),
            ("spec.type", text(service, "/spec/type").to_owned()),
        ]
    }
}
