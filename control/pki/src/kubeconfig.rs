use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::KeyPair;

/// A kubeconfig with one cluster, one user and one context, all named `carob`.
///
/// `server` is the API server's URL; `authority` the certificate, as PEM, that the client shall trust.
pub fn kubeconfig(server: &str, authority: &str, client: &KeyPair) -> String {
    format!(
        "\
apiVersion: v1
kind: Config
current-context: carob
clusters:
- name: carob
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: carob
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: carob
  context:
    cluster: carob
    user: carob
",
        authority = STANDARD.encode(authority),
        certificate = STANDARD.encode(&client.certificate),
        key = STANDARD.encode(&client.key),
    )
}
