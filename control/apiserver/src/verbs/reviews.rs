//! Questions about who someone is, answered at once and not kept: `authentication.k8s.io/v1`.

use axum::{body::Body, response::Response};
use carob_resources::Review;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Call,
    body::{self, Decoded},
    initial::seconds,
    respond,
};
use crate::{
    Identity,
    status::{Status, json_response},
    tokens::{self, Proven},
};

/// Answers a question with itself and the answer in its status.
pub(super) async fn answer(call: &Call, review: Review, body: Body) -> Result<Response, Status> {
    let Decoded { mut object, warnings } = body::decode(call, body).await?;
    object["status"] = match review {
        Review::SelfSubject => json!({ "userInfo": user(&call.identity) }),
        Review::Token => token(call, &object["spec"])?,
    };
    object["metadata"]["creationTimestamp"] = match review {
        Review::SelfSubject => json!(seconds(Timestamp::now())),
        Review::Token => Value::Null,
    };
    Ok(respond::warn(json_response(StatusCode::CREATED, &object), &warnings))
}

fn token(call: &Call, spec: &Value) -> Result<Value, Status> {
    let token = spec["token"].as_str().filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Status::bad_request("token is required for TokenReview in authentication"))?;
    let named = spec["audiences"].as_array().into_iter().flatten();
    let mut wanted: Vec<String> = named.filter_map(Value::as_str).map(str::to_owned).collect();
    if wanted.is_empty() {
        wanted = call.api.config().audiences();
    }
    Ok(match tokens::authenticate(&call.api, token, &wanted, Timestamp::now()) {
        Ok(Proven { identity, audiences }) => {
            json!({ "authenticated": true, "user": user(&identity), "audiences": audiences })
        }
        Err(refused) => json!({ "authenticated": false, "user": {}, "error": refused.to_string() }),
    })
}

/// `UserInfo`: what is empty is left out.
fn user(identity: &Identity) -> Value {
    let mut user = json!({ "username": identity.user, "groups": identity.groups });
    if !identity.uid.is_empty() {
        user["uid"] = json!(identity.uid);
    }
    if !identity.extra.is_empty() {
        user["extra"] = json!(identity.extra);
    }
    user
}
