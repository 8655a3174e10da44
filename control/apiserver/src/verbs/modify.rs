//! Changes an object: what all updates and patches have in common.

use bytes::Bytes;
use carob_resources::{Subresource, meta};
use carob_store::{Expect, Revision};
use serde_json::{Value, json};

use super::{
    Call,
    body::Decoded,
    delete,
    deletion::may_go,
    initial,
    write::{self, Prepared},
};
use crate::{admit, allocate, cache::Entry, codec, status::Status};

/// Which part of an object a request may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All but the status.
    Main,
    /// The status.
    Status,
    /// A namespace's `spec.finalizers`.
    Finalizers,
    /// The part of the wishes that a subresource stands for.
    Of(Subresource),
    /// Whatever the server itself puts there, such as the node of a Pod.
    Server,
}

/// Changes the object by `edit`, which may be asked again for the newest state if others change it meanwhile.
///
/// Answers the object as it is served, and warnings.
pub(super) async fn modify(
    call: &Call,
    part: Part,
    edit: impl Fn(&Value) -> Result<Decoded, Status>,
) -> Result<(Bytes, Vec<String>), Status> {
    let dry_run = call.query.dry_run()?;
    for _ in 0..write::TRIES {
        let entry = call.existing()?;
        let old = entry.object();
        let Decoded { object, mut warnings } = edit(&old)?;
        meets(call, &object, &old)?;
        let mut new = shape(call, part, object, &old)?;
        if part != Part::Server {
            admit::update(call, part, &mut new, &old)?;
        }
        if part == Part::Main {
            let strategy = call.served.resource.strategy;
            warnings.extend(strategy.wishes_differ(&new, &old).then(|| strategy.warnings(&new)).into_iter().flatten());
        }
        if let Some(bytes) = store(call, &entry, new, &old, dry_run).await? {
            return Ok((bytes, warnings));
        }
    }
    Err(Status::modified(call.served.resource, &call.address.name))
}

/// Checks that the client speaks of the object that is there, and of the revision it has, if it says one.
fn meets(call: &Call, new: &Value, old: &Value) -> Result<(), Status> {
    let resource = call.served.resource;
    let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    let name = text(new, "name");
    if name != call.address.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.address.name
        )));
    }
    initial::namespace(call, new)?;
    let (asked, held) = (text(new, "uid"), text(old, "uid"));
    if !asked.is_empty() && asked != held {
        let why = format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {held}");
        return Err(Status::conflict(resource, &name, why));
    }
    let asked = text(new, "resourceVersion");
    if !asked.is_empty() && asked != text(old, "resourceVersion") {
        return Err(Status::modified(resource, &name));
    }
    Ok(())
}

/// The object as it is to be: what the request may not change is carried over, and the rest is judged. Pure.
fn shape(call: &Call, part: Part, mut new: Value, old: &Value) -> Result<Value, Status> {
    let resource = call.served.resource;
    carry_over(&mut new, old);
    match part {
        Part::Main => {
            resource.strategy.default(&mut new);
            resource.strategy.prepare_update(&mut new, old);
        }
        Part::Status => resource.strategy.prepare_status(&mut new, old),
        Part::Finalizers => {
            let finalizers = new["spec"]["finalizers"].take();
            new = old.clone();
            new["spec"]["finalizers"] = finalizers;
        }
        Part::Of(subresource) => {
            resource.strategy.default(&mut new);
            resource.strategy.prepare_part(subresource, &mut new, old);
        }
        Part::Server => {}
    }
    let wishes = matches!(part, Part::Main | Part::Of(_) | Part::Server) && resource.strategy.has_generation();
    if wishes && resource.strategy.wishes_differ(&new, old) {
        new["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
    }
    judge(call, part, &new, old)?;
    Ok(new)
}

fn judge(call: &Call, part: Part, new: &Value, old: &Value) -> Result<(), Status> {
    let resource = call.served.resource;
    let mut causes = meta::validate_metadata(resource, new);
    causes.extend(meta::validate_metadata_update(new, old));
    match part {
        Part::Main => {
            causes.extend(resource.strategy.validate(new));
            causes.extend(resource.strategy.validate_update(new, old));
        }
        Part::Status => causes.extend(resource.strategy.validate_status(new, old)),
        Part::Of(subresource) => {
            causes.extend(resource.strategy.validate(new));
            causes.extend(resource.strategy.validate_part(subresource, new, old));
        }
        Part::Finalizers | Part::Server => {}
    }
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid(resource, &call.address.name, &causes)) }
}

/// What no client changes.
fn carry_over(new: &mut Value, old: &Value) {
    let metadata = initial::metadata(new);
    for field in ["selfLink", "managedFields", "resourceVersion"] {
        metadata.remove(field);
    }
    let kept = [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "namespace",
        "generateName",
    ];
    for field in kept {
        match &old["metadata"][field] {
            Value::Null => metadata.remove(field),
            held => metadata.insert(field.to_owned(), held.clone()),
        };
    }
}

/// Commits the change. `None`: others changed the object meanwhile.
async fn store(
    call: &Call,
    entry: &Entry,
    mut new: Value,
    old: &Value,
    dry_run: bool,
) -> Result<Option<Bytes>, Status> {
    let claims = allocate::plan(call, entry.name(), &mut new, Some(old)).await?;
    let bytes = codec::encode(&new);
    if bytes == codec::unsplice(&entry.bytes) {
        return Ok(Some(entry.bytes.clone()));
    }
    let served = |revision| Some(Bytes::from(codec::splice(&bytes, revision)));
    if dry_run {
        return Ok(served(entry.revision));
    }
    if may_go(&new) {
        let gone = delete::removed(call, entry, old).await?;
        return Ok(if gone { served(entry.revision) } else { None });
    }
    let expect = Expect::At(Revision(entry.revision));
    let revision = write::put(call, &entry.key, expect, Prepared::new(call, &new), claims).await?;
    Ok(revision.and_then(served))
}
