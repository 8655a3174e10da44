//! ServiceAccounts.

use crate::json::list;
use crate::resource::{Resource, Scope, Subresource};
use crate::table::{AGE, NAME, age_cell, name};
use crate::{Column, Strategy};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) const SERVICE_ACCOUNTS: Resource = Resource {
    group: "",
    version: "v1",
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    categories: &[],
    scope: Scope::Namespaced,
    subresources: &[Subresource::Token],
    storage: "serviceaccounts",
    strategy: &ServiceAccounts,
};

const COLUMNS: &[Column] =
    &[NAME, Column::plain("Secrets", "string", "Secrets that Pods of this account may name."), AGE];

struct ServiceAccounts;

impl Strategy for ServiceAccounts {
    fn has_generation(&self) -> bool {
        false
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        vec![name(object), list(object, "/secrets").len().to_string().into(), age_cell(object, now)]
    }
}
