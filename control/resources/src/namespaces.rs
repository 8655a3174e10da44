//! Namespaces.

use crate::cause::Causes;
use crate::json::{at, fill_text, is_empty, list, section, set, text};
use crate::names;
use crate::resource::{Resource, Scope, Subresource};
use crate::strategy::carry_over;
use crate::table::{AGE, NAME, age_cell, name};
use crate::{Cause, Column, NameGrammar, Path, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const NAMESPACES: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    categories: &[],
    scope: Scope::Cluster,
    subresources: &[Subresource::Status, Subresource::Finalize],
    storage: "namespaces",
    strategy: &Namespaces,
};

/// Holds a namespace until what is in it is gone.
const FINALIZER: &str = "kubernetes";
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

const COLUMNS: &[Column] = &[NAME, Column::plain("Status", "string", "The status of the namespace"), AGE];

struct Namespaces;

impl Strategy for Namespaces {
    fn name_grammar(&self) -> NameGrammar {
        NameGrammar::Label
    }

    fn default(&self, namespace: &mut Value) {
        let name = text(namespace, "/metadata/name").to_owned();
        let labels = section(namespace, "metadata").and_then(|metadata| section(metadata, "labels"));
        if let (Some(labels), false) = (labels, name.is_empty()) {
            set(labels, NAME_LABEL, name);
        }
        if let Some(status) = section(namespace, "status") {
            fill_text(status, "phase", "Active");
        }
    }

    fn prepare_create(&self, namespace: &mut Value, _now: Timestamp) {
        set(namespace, "status", json!({ "phase": "Active" }));
        let Some(spec) = section(namespace, "spec") else { return };
        let mut finalizers = list(spec, "/finalizers").to_vec();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            finalizers.push(FINALIZER.into());
        }
        set(spec, "finalizers", finalizers);
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        carry_over(new, old, "spec");
        carry_over(new, old, "status");
    }

    fn has_generation(&self) -> bool {
        false
    }

    fn validate(&self, namespace: &Value) -> Vec<Cause> {
        let mut found = Causes::default();
        let path = Path::new("spec.finalizers");
        for (index, finalizer) in list(namespace, "/spec/finalizers").iter().enumerate() {
            let name = finalizer.as_str().unwrap_or_default();
            found.invalid_each(&path.index(index), name, names::qualified_name(name));
            if !name.contains('/') && name != FINALIZER {
                let detail = "name is neither a standard finalizer name nor is it fully qualified";
                found.push(Cause::invalid(&path.index(index), name, detail));
            }
        }
        found.into_vec()
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> Vec<Cause> {
        let deleted = !is_empty(new, "/metadata/deletionTimestamp");
        let phase = at(new, "/status/phase").clone();
        let path = Path::new("status.Phase");
        match phase.as_str().unwrap_or_default() {
            "Active" if deleted => {
                vec![Cause::invalid(&path, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")]
            }
            "Terminating" if !deleted => {
                vec![Cause::invalid(&path, phase, "may only be 'Active' if `deletionTimestamp` is empty")]
            }
            _ => Vec::new(),
        }
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn cells(&self, namespace: &Value, now: Timestamp) -> Vec<Value> {
        vec![name(namespace), text(namespace, "/status/phase").into(), age_cell(namespace, now)]
    }

    fn selectable_fields(&self, namespace: &Value) -> Vec<(&'static str, String)> {
        vec![("status.phase", text(namespace, "/status/phase").to_owned())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_namespace_is_labelled_and_held() {
        let mut namespace = json!({ "metadata": { "name": "a" } });
        Namespaces.default(&mut namespace);
        Namespaces.prepare_create(&mut namespace, Timestamp::UNIX_EPOCH);
        assert_eq!(namespace["metadata"]["labels"][NAME_LABEL], "a");
        assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));
        assert_eq!(namespace["status"]["phase"], "Active");
    }

    #[test]
    fn the_phase_follows_the_deletion() {
        let living = json!({ "status": { "phase": "Terminating" } });
        let dying = json!({ "metadata": { "deletionTimestamp": "t" }, "status": { "phase": "Active" } });
        for namespace in [living, dying] {
            assert_eq!(Namespaces.validate_status(&namespace, &namespace).len(), 1, "{namespace}");
        }
    }

    #[test]
    fn an_update_leaves_the_finalizers_alone() {
        let old = json!({ "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" } });
        let mut new = json!({ "spec": {} });
        Namespaces.prepare_update(&mut new, &old);
        assert_eq!(new, old);
    }
}
