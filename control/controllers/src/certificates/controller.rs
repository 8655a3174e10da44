use std::sync::Arc;
use std::time::{Duration, SystemTime};

use carob_pki::{Authority, CertificateRequest, NODE_USER_PREFIX, Usage};
use carob_reconcile::{Informer, Next, ObjectKey, Queue, Reconcile};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::step::{Step, step};
use crate::context::Context;
use crate::write;

const NAME: &str = "certificate-controller";
const WORKERS: usize = 4;

/// Starts the one controller that approves, signs and forgets.
pub(crate) fn start(context: &mut Context<'_>, authority: Arc<Authority>, life: Duration) {
    let controller = Certificates {
        client: context.client(NAME),
        requests: context.informers.of(),
        nodes: context.informers.of(),
        authority,
        life,
    };
    let queue = Arc::new(Queue::new());
    let wake = queue.clone();
    controller.requests.on_change(move |change| {
        change.new.iter().for_each(|request| wake.add(request.name_any()));
    });
    let (wake, requests) = (queue.clone(), controller.requests.clone());
    controller.nodes.on_change(move |change| {
        // A node's serving certificate waits for the addresses of its Node.
        let addresses = |node: &Arc<Node>| node.status.as_ref().and_then(|status| status.addresses.clone());
        let Some(node) = change.new.as_ref().filter(|new| change.old.as_ref().map(addresses) != Some(addresses(new)))
        else {
            return;
        };
        let user = carob_pki::node_user(&node.name_any());
        let theirs = requests.all().into_iter().filter(|one| one.spec.username.as_deref() == Some(user.as_str()));
        theirs.for_each(|request| wake.add(request.name_any()));
    });
    context.spawn(Arc::new(controller), queue, WORKERS);
}

struct Certificates {
    client: Client,
    requests: Informer<CertificateSigningRequest>,
    nodes: Informer<Node>,
    authority: Arc<Authority>,
    /// How long a certificate is good, if nothing shorter is asked for.
    life: Duration,
}

impl Reconcile for Certificates {
    type Key = String;
    const NAME: &'static str = NAME;

    async fn reconcile(&self, name: String) -> kube::Result<Next> {
        self.nodes.synced().await;
        let Some(request) = self.requests.find(&ObjectKey::new("", &name)) else { return Ok(Next::Done) };
        let asker = request.spec.username.as_deref().and_then(|user| user.strip_prefix(NODE_USER_PREFIX));
        let node = asker.and_then(|name| self.nodes.find(&ObjectKey::new("", name)));
        match step(&request, node.as_deref(), Timestamp::now()) {
            Step::Approve(why) => self.conclude(&request, "approval", "Approved", "AutoApproved", why).await?,
            Step::Sign(asked, usages) => self.sign(&request, &asked, &usages).await?,
            Step::Fail(why) => self.fail(&request, &why).await?,
            Step::Forget => write::delete(&self.api(), &self.requests, &request).await?,
            Step::Wait(time) => return Ok(Next::After(time)),
        }
        Ok(Next::Done)
    }
}

impl Certificates {
    fn api(&self) -> Api<CertificateSigningRequest> {
        Api::all(self.client.clone())
    }

    async fn sign(
        &self,
        request: &CertificateSigningRequest,
        asked: &CertificateRequest,
        usages: &[Usage],
    ) -> kube::Result<()> {
        let seconds = request.spec.expiration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let life = seconds.map_or(self.life, |seconds| self.life.min(Duration::from_secs(seconds)));
        match self.authority.sign_request(asked, usages, SystemTime::now(), life) {
            Ok(certificate) => {
                let certificate = ByteString(certificate.into_bytes());
                self.write(request, "status", json!({ "certificate": certificate })).await?;
                tracing::info!(subject = asked.common_name, signer = request.spec.signer_name, "signed a certificate");
                Ok(())
            }
            Err(error) => self.fail(request, &error.to_string()).await,
        }
    }

    async fn fail(&self, request: &CertificateSigningRequest, why: &str) -> kube::Result<()> {
        self.conclude(request, "status", "Failed", "SignerValidationFailure", why).await
    }

    /// Adds a condition to those that the request has.
    async fn conclude(
        &self,
        request: &CertificateSigningRequest,
        subresource: &str,
        kind: &str,
        reason: &str,
        message: &str,
    ) -> kube::Result<()> {
        let held = request.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
        let mut conditions: Vec<Value> = held.iter().map(|condition| json!(condition)).collect();
        conditions.push(json!({ "type": kind, "status": "True", "reason": reason, "message": message }));
        self.write(request, subresource, json!({ "conditions": conditions })).await
    }

    async fn write(&self, request: &CertificateSigningRequest, part: &str, status: Value) -> kube::Result<()> {
        let patch = json!({ "metadata": { "resourceVersion": request.resource_version() }, "status": status });
        let (name, params) = (request.name_any(), PatchParams::default());
        self.requests.observe(self.api().patch_subresource(part, &name, &params, &Patch::Merge(patch)).await?);
        Ok(())
    }
}
