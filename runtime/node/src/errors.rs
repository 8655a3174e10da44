//! What an error of the API says, for a log line or a status.

use std::error::Error;
use std::io;

/// The server's own message, or what else went wrong, down to its cause; kube's wording adds the whole answer.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => {
            let mut causes: Vec<_> = causes(other).map(ToString::to_string).collect();
            // Some say nothing but what their cause says.
            causes.dedup();
            causes.join(": ")
        }
    }
}

/// What the server says to the certificate that it was shown, if it does not take it.
pub(crate) fn refusal(error: &kube::Error) -> Option<rustls::AlertDescription> {
    causes(error).find_map(|cause| match cause.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
        _ => None,
    })
}

/// The error and its causes.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // An error of a system call hides what it was made from.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_said_and_found() {
        let alert = rustls::AlertDescription::CertificateExpired;
        let refused = io::Error::other(rustls::Error::AlertReceived(alert));
        let error = kube::Error::Service(Box::new(refused));
        assert_eq!(refusal(&error), Some(alert));
        assert!(said(&error).ends_with("received fatal alert: CertificateExpired"), "{}", said(&error));
        assert_eq!(refusal(&kube::Error::Service("down".into())), None);
    }
}
