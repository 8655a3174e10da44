//! What an object looks like when it is created. Pure, but for its random uid.

use carob_resources::{Scope, meta};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Call;
use crate::{random, status::Status};

/// What only the server says.
const SERVER_SIDE: &[&str] =
    &["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields", "generation", "uid"];

/// The object as it will be stored, apart from a generated name and what is allocated for it.
pub(super) fn prepare(call: &Call, mut object: Value, now: Timestamp) -> Result<Value, Status> {
    let resource = call.served.resource;
    let namespace = namespace(call, &object)?;
    let metadata = metadata(&mut object);
    if metadata.get("resourceVersion").is_some_and(|version| *version != "") {
        return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
    }
    for field in SERVER_SIDE {
        metadata.remove(*field);
    }
    if resource.scope == Scope::Namespaced {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    metadata.insert("uid".to_owned(), json!(random::uuid()));
    metadata.insert("creationTimestamp".to_owned(), json!(seconds(now)));
    if resource.strategy.has_generation() {
        metadata.insert("generation".to_owned(), json!(1));
    }
    resource.strategy.default(&mut object);
    resource.strategy.prepare_create(&mut object, now);
    Ok(object)
}

/// Gives the object its name, if it asks for one; then its defaults, and judges it.
pub(super) fn finish(call: &Call, object: &mut Value) -> Result<String, Status> {
    let resource = call.served.resource;
    let metadata = metadata(object);
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (mut name, base) = (text("name"), text("generateName"));
    if name.is_empty() && !base.is_empty() {
        name = meta::generated_name(&base);
        metadata.insert("name".to_owned(), json!(name));
    }
    resource.strategy.default(object);
    let mut causes = meta::validate_metadata(resource, object);
    causes.extend(resource.strategy.validate(object));
    causes.extend(resource.strategy.validate_create(object));
    if causes.is_empty() { Ok(name) } else { Err(Status::invalid(resource, &name, &causes)) }
}

/// The metadata of an object that was decoded, which always has some.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    let metadata = &mut object["metadata"];
    if !metadata.is_object() {
        *metadata = json!({});
    }
    metadata.as_object_mut().expect("it was just made one")
}

/// A time as metadata has it: whole seconds.
pub(crate) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The namespace of the request, which the object must not contradict.
pub(super) fn namespace(call: &Call, object: &Value) -> Result<String, Status> {
    let asked = &call.address.namespace;
    let said = object["metadata"]["namespace"].as_str().unwrap_or_default();
    if call.served.resource.scope == Scope::Namespaced && !said.is_empty() && said != asked {
        return Err(Status::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request ({said} instead of {asked})"
        )));
    }
    Ok(asked.clone())
}
