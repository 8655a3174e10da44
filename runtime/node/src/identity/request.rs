//! Asks the cluster for a certificate.

use std::time::Duration;

use carob_pki::{CertificateRequest, KeyPair, NODES_GROUP, Names, node_user};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};
use tokio::time::timeout;

use super::IdentityError;

/// How long a request may take, a person's approval included. Then another is made.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Client,
    Serving,
}

impl Purpose {
    fn signer(self) -> &'static str {
        match self {
            Self::Client => "kubernetes.io/kube-apiserver-client-kubelet",
            Self::Serving => "kubernetes.io/kubelet-serving",
        }
    }

    fn usage(self) -> &'static str {
        match self {
            Self::Client => "client auth",
            Self::Serving => "server auth",
        }
    }
}

/// Makes a key and has it signed.
pub(super) async fn obtain(
    client: &Client,
    node: &str,
    purpose: Purpose,
    names: &Names,
) -> Result<KeyPair, IdentityError> {
    let asked = CertificateRequest::create(&node_user(node), NODES_GROUP, names)?;
    let api: Api<CertificateSigningRequest> = Api::all(client.clone());
    let made = api.create(&PostParams::default(), &object(asked.request, purpose)).await?;
    let name = made.name_any();
    let end = |why: &str| IdentityError::NotSigned { name: name.clone(), why: why.to_owned() };
    let decided = await_condition(api, &name, |request: Option<&CertificateSigningRequest>| {
        request.is_none_or(|request| outcome(request).is_some())
    });
    let request = match timeout(PATIENCE, decided).await {
        Err(_) => return Err(end("nobody has approved it")),
        Ok(Err(error)) => return Err(end(&error.to_string())),
        Ok(Ok(request)) => request.ok_or_else(|| end("it was deleted"))?,
    };
    match outcome(&request) {
        Some(Ok(certificate)) => Ok(KeyPair { certificate, key: asked.key }),
        Some(Err(why)) => Err(end(&why)),
        None => Err(end("it was not decided")),
    }
}

fn object(request: String, purpose: Purpose) -> CertificateSigningRequest {
    CertificateSigningRequest {
        metadata: ObjectMeta { generate_name: Some("csr-".to_owned()), ..ObjectMeta::default() },
        spec: CertificateSigningRequestSpec {
            request: ByteString(request.into_bytes()),
            signer_name: purpose.signer().to_owned(),
            usages: Some(vec!["digital signature".to_owned(), purpose.usage().to_owned()]),
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    }
}

/// The certificate, or why there will be none; nothing while that is open.
fn outcome(request: &CertificateSigningRequest) -> Option<Result<String, String>> {
    let status = request.status.as_ref()?;
    if let Some(certificate) = &status.certificate {
        return Some(String::from_utf8(certificate.0.clone()).map_err(|error| error.to_string()));
    }
    let mut conditions = status.conditions.iter().flatten();
    let bad = conditions.find(|condition| matches!(condition.type_.as_str(), "Denied" | "Failed"))?;
    Some(Err(format!("{}: {}", bad.type_, bad.message.as_deref().unwrap_or_default())))
}
