//! What an error of the API says, for a log line or a status.

/// The server's own message, or what else went wrong; kube's wording adds the whole answer.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
