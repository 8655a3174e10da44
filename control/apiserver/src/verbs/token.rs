//! `/token` of a ServiceAccount: signs a token for it.

use axum::{body::Body, response::Response};
use carob_resources::{Cause, Path};
use carob_schema::Schemas;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    Call,
    body::{self, Decoded},
    initial::seconds,
    respond,
};
use crate::{
    admit,
    status::{Status, json_response},
    tokens::{Bound, Claims, Holder},
};

const TOKEN_REQUEST: (&str, &str, &str) = ("authentication.k8s.io", "v1", "TokenRequest");
const DEFAULT_SECONDS: i64 = 60 * 60;
const LEAST_SECONDS: i64 = 10 * 60;
const MOST_SECONDS: i64 = 1 << 32;

pub(super) async fn create(call: &Call, body: Body) -> Result<Response, Status> {
    let (group, version, kind) = TOKEN_REQUEST;
    let ty =
        Schemas::builtin().of(group, version, kind).ok_or_else(|| Status::internal("no schema of TokenRequest"))?;
    let Decoded { object: request, warnings } = body::decode_as(call, body, ty, TOKEN_REQUEST).await?;
    admit::node::token(call, &request)?;
    let wish = Wish::read(call, &request)?;
    let account = call.existing()?.object();
    let mut holder =
        Holder { namespace: call.address.namespace.clone(), serviceaccount: identified(&account), ..Holder::default() };
    if let Some(reference) = &wish.bound_to {
        bind(call, reference, &mut holder)?;
    }
    let answer = issue(call, wish, holder, Timestamp::now())?;
    Ok(respond::warn(json_response(StatusCode::CREATED, &answer), &warnings))
}

/// What a client asks for, checked.
struct Wish {
    audiences: Vec<String>,
    seconds: i64,
    bound_to: Option<Value>,
}

impl Wish {
    fn read(call: &Call, request: &Value) -> Result<Self, Status> {
        let spec = &request["spec"];
        let seconds = spec["expirationSeconds"].as_i64().unwrap_or(DEFAULT_SECONDS);
        let causes: Vec<Cause> = names_differ(call, request).into_iter().chain(check_life(seconds)).collect();
        if !causes.is_empty() {
            let (group, _, kind) = TOKEN_REQUEST;
            return Err(Status::invalid_kind(group, kind, &call.address.name, &causes));
        }
        let named = spec["audiences"].as_array().into_iter().flatten();
        let mut audiences: Vec<String> = named.filter_map(Value::as_str).map(str::to_owned).collect();
        if audiences.is_empty() {
            audiences = call.api.config().audiences();
        }
        let bound_to = Some(&spec["boundObjectRef"]).filter(|reference| reference.is_object()).cloned();
        Ok(Self { audiences, seconds, bound_to })
    }
}

/// A name or namespace in the request's own metadata must be the one in its path.
fn names_differ(call: &Call, request: &Value) -> Vec<Cause> {
    let path = Path::new("metadata");
    let asked = [("name", &call.address.name), ("namespace", &call.address.namespace)];
    let differs = |(field, asked): (&str, &String)| {
        let said = request["metadata"][field].as_str().filter(|said| !said.is_empty() && said != asked)?;
        let detail = format!("must match the service account {field} if specified");
        Some(Cause::invalid(&path.child(field), said, &detail))
    };
    asked.into_iter().filter_map(differs).collect()
}

fn check_life(seconds: i64) -> Option<Cause> {
    let detail = match seconds {
        ..LEAST_SECONDS => "may not specify a duration less than 10 minutes",
        LEAST_SECONDS..=MOST_SECONDS => return None,
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    Some(Cause::invalid(&Path::new("spec.expirationSeconds"), seconds, detail))
}

/// Puts what the token is to be bound to into its claims, if it is there and the ServiceAccount's to speak of.
fn bind(call: &Call, reference: &Value, holder: &mut Holder) -> Result<(), Status> {
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let (version, kind, name) = (text("apiVersion"), text("kind"), text("name"));
    let plural = match (version, kind) {
        ("v1", "Pod") => "pods",
        ("v1", "Secret") => "secrets",
        ("v1", "Node") => "nodes",
        _ => return Err(Status::bad_request(format!("cannot bind token to object of type {version}, Kind={kind}"))),
    };
    let object = found(call, plural, name)?;
    let bound = identified(&object);
    let asked = text("uid");
    if !asked.is_empty() && asked != bound.uid {
        return Err(Status::new(
            409,
            "Conflict",
            format!(
                "Operation cannot be fulfilled on {kind} {name:?}: the UID in the bound object reference ({asked}) does not \
                 match the UID in record. The object might have been deleted and then recreated"
            ),
        ));
    }
    match kind {
        "Pod" => return bind_pod(call, &object, bound, holder),
        "Secret" => holder.secret = Some(bound),
        _ => holder.node = Some(bound),
    }
    Ok(())
}

/// A Pod's token also says where the Pod runs.
fn bind_pod(call: &Call, pod: &Value, bound: Bound, holder: &mut Holder) -> Result<(), Status> {
    let account = &call.address.name;
    if pod["spec"]["serviceAccountName"] != **account {
        return Err(Status::bad_request(format!(
            "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
        )));
    }
    holder.pod = Some(bound);
    if let Some(node) = pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()) {
        let known = found(call, "nodes", node).ok().map(|node| identified(&node));
        holder.node = Some(known.unwrap_or_else(|| Bound { name: node.to_owned(), uid: String::new() }));
    }
    Ok(())
}

fn found(call: &Call, plural: &str, name: &str) -> Result<Value, Status> {
    let served = call.api.registry().core(plural).ok_or_else(Status::no_such_path)?;
    let entry = served.cache.get(&served.key(&call.address.namespace, name));
    entry.map(|entry| entry.object()).ok_or_else(|| Status::not_found(served.resource, name))
}

fn identified(object: &Value) -> Bound {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    Bound { name: text("name"), uid: text("uid") }
}

fn issue(call: &Call, wish: Wish, holder: Holder, now: Timestamp) -> Result<Value, Status> {
    let config = call.api.config();
    let claims = Claims::new(&config.issuer, wish.audiences, holder, now, wish.seconds);
    let bytes = serde_json::to_vec(&claims).map_err(Status::internal)?;
    let token = config.tokens.sign(&bytes).map_err(Status::internal)?;
    let expires = now.saturating_add(SignedDuration::from_secs(wish.seconds)).map_err(Status::internal)?;
    let mut spec = json!({ "audiences": claims.aud, "expirationSeconds": wish.seconds, "boundObjectRef": null });
    if let Some(reference) = wish.bound_to {
        spec["boundObjectRef"] = reference;
    }
    Ok(json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {
            "name": call.address.name, "namespace": call.address.namespace, "creationTimestamp": seconds(now),
        },
        "spec": spec,
        "status": { "token": token, "expirationTimestamp": seconds(expires) },
    }))
}
