//! What a deletion may be told.

use axum::body::Body;
use carob_schema::Schemas;
use serde_json::Value;

use super::{Call, body};
use crate::status::Status;

/// What is to happen to the objects that the deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// `DeleteOptions`, from the body or the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeleteOptions {
    pub(crate) grace: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    pub(super) async fn read(call: &Call, body: Body) -> Result<Self, Status> {
        let bytes = body::read(call, body).await?;
        if bytes.is_empty() {
            return Self::from_query(call);
        }
        let resource = call.served.resource;
        let ty = Schemas::builtin()
            .of(resource.group, resource.version, "DeleteOptions")
            .ok_or_else(|| Status::internal("no schema of DeleteOptions"))?;
        let parsed = body::Format::of(&call.headers)?.parse(ty, &bytes)?;
        let mut options = Self::from_json(&parsed.object)?;
        options.dry_run |= call.query.dry_run()?;
        Ok(options)
    }

    /// Reads the JSON form, whose types were checked.
    pub(super) fn from_json(options: &Value) -> Result<Self, Status> {
        let text = |pointer: &str| options.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let dry_run = options["dryRun"].as_array().is_some_and(|all| !all.is_empty());
        Ok(Self {
            grace: grace(options["gracePeriodSeconds"].as_i64()),
            propagation: propagation(options["propagationPolicy"].as_str(), options["orphanDependents"].as_bool())?,
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            dry_run,
        })
    }

    fn from_query(call: &Call) -> Result<Self, Status> {
        let query = &call.query;
        let orphan = query.get("orphanDependents").map(|_| query.flag("orphanDependents"));
        Ok(Self {
            grace: grace(query.number("gracePeriodSeconds")?),
            propagation: propagation(query.get("propagationPolicy"), orphan)?,
            dry_run: query.dry_run()?,
            ..Self::default()
        })
    }
}

/// A negative grace period means one second, as in Kubernetes.
fn grace(seconds: Option<i64>) -> Option<i64> {
    seconds.map(|seconds| if seconds < 0 { 1 } else { seconds })
}

fn propagation(policy: Option<&str>, orphan: Option<bool>) -> Result<Option<Propagation>, Status> {
    let invalid = |told: String| {
        Err(Status::new(
            422,
            "Invalid",
            format!("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: {told}"),
        ))
    };
    if policy.is_some() && orphan.is_some() {
        return invalid("Invalid value: orphanDependents and deletionPropagation cannot be both set".to_owned());
    }
    match (policy, orphan) {
        (Some("Background"), _) | (None, Some(false)) => Ok(Some(Propagation::Background)),
        (Some("Foreground"), _) => Ok(Some(Propagation::Foreground)),
        (Some("Orphan"), _) | (None, Some(true)) => Ok(Some(Propagation::Orphan)),
        (None, None) => Ok(None),
        (Some(other), _) => invalid(format!(
            "Unsupported value: {other:?}: supported values: \"Background\", \"Foreground\", \"Orphan\""
        )),
    }
}
