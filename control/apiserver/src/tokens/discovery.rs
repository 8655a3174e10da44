//! How others check the cluster's tokens (OpenID Connect Discovery 1.0):
//! <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery>.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{ApiServer, request::OpenId, status::json_response};

/// Answers with one of the two documents.
pub(crate) fn answer(api: &ApiServer, document: OpenId) -> Response {
    let (kind, content) = match document {
        OpenId::Configuration => ("application/json", configuration(api)),
        OpenId::Keys => ("application/jwk-set+json", keys(api)),
    };
    let mut response = json_response(StatusCode::OK, &content);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

fn configuration(api: &ApiServer) -> Value {
    let (address, port) = api.config().advertise;
    let server = std::net::SocketAddr::new(address, port);
    json!({
        "issuer": api.config().issuer,
        "jwks_uri": format!("https://{server}/openid/v1/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

fn keys(api: &ApiServer) -> Value {
    let carob_pki::PublicKey { id, x, y } = api.config().tokens.public();
    json!({ "keys": [{ "use": "sig", "kty": "EC", "kid": id, "crv": "P-256", "alg": "ES256", "x": x, "y": y }] })
}
