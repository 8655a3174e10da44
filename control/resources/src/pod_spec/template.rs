//! Pod templates, as workloads have them.

use super::{default_spec, spec_warnings, validate_spec};
use crate::cause::Causes;
use crate::json::{at, has, is_empty, section, text};
use crate::meta::{validate_annotations, validate_labels};
use crate::selector::LabelSelector;
use crate::{Cause, Path};
use serde_json::Value;

/// Fills in what the template of a workload leaves out.
pub(crate) fn default_template(object: &mut Value) {
    let Some(template) = object.pointer_mut("/spec/template").filter(|template| template.is_object()) else { return };
    section(template, "metadata");
    if let Some(spec) = section(template, "spec") {
        default_spec(spec);
    }
}

/// What a client should be told about the template of a workload.
pub(crate) fn template_warnings(object: &Value) -> Vec<String> {
    spec_warnings(at(object, "/spec/template/spec"), &Path::new("spec.template.spec"))
}

/// What is wrong with the template of a workload whose Pods are chosen by `selector`.
pub(crate) fn validate_template(object: &Value, selector: Option<LabelSelector>) -> Vec<Cause> {
    let mut found = Causes::default();
    let path = Path::new("spec.template");
    let template = at(object, "/spec/template");
    let labels = at(template, "/metadata/labels");
    if selector.is_some_and(|selector| !selector.is_empty() && !selector.matches_json(labels)) {
        let detail = "`selector` does not match template `labels`";
        found.push(Cause::invalid(&path.child("metadata").child("labels"), labels.clone(), detail));
    }
    let metadata = at(template, "/metadata");
    found.extend(validate_labels(metadata, &path.child("metadata")));
    found.extend(validate_annotations(metadata, &path.child("metadata")));
    check_workload_limits(template, &path.child("spec"), &mut found);
    found.extend(validate_spec(at(template, "/spec"), &path.child("spec")));
    found.into_vec()
}

/// What a Pod may do, but not a Pod that is to be kept running.
fn check_workload_limits(template: &Value, path: &Path, found: &mut Causes) {
    let policy = text(template, "/spec/restartPolicy");
    if ["Never", "OnFailure"].contains(&policy) {
        found.push(Cause::not_supported(&path.child("restartPolicy"), policy, &["Always"]));
    }
    if has(template, "/spec/activeDeadlineSeconds") {
        let detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
        found.push(Cause::forbidden(&path.child("activeDeadlineSeconds"), detail));
    }
    if !is_empty(template, "/spec/ephemeralContainers") {
        let detail = "ephemeral containers not allowed in pod template";
        found.push(Cause::forbidden(&path.child("ephemeralContainers"), detail));
    }
}
