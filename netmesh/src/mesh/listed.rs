use std::time::Duration;

use carob_net::NetworkError;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a question waits for what the API says: longer than a node takes to start, shorter than most clients wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether all Services have been heard of once. Before that nobody can say that a name is not there.
///
/// Where nobody tells of Services, what is known is all there is.
pub(crate) struct Listed(watch::Sender<bool>);

impl Default for Listed {
    fn default() -> Listed {
        Listed(watch::Sender::new(true))
    }
}

impl Listed {
    /// Somebody is going to tell.
    pub(crate) fn expect(&self) {
        self.0.send_replace(false);
    }

    /// Everything was told once.
    pub(crate) fn complete(&self) {
        self.0.send_if_modified(|listed| !std::mem::replace(listed, true));
    }

    /// Ends when everything was told once.
    ///
    /// # Errors
    /// [`NetworkError::ResolverFailure`] if that takes too long.
    pub(crate) async fn wait(&self) -> Result<(), NetworkError> {
        let mut listed = self.0.subscribe();
        match timeout(PATIENCE, listed.wait_for(|listed| *listed)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NetworkError::ResolverFailure),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_early_waits_but_not_for_ever() {
        let listed = Listed::default();
        assert_eq!(listed.wait().now_or_never(), Some(Ok(())), "nobody tells");
        listed.expect();
        let mut early = Box::pin(listed.wait());
        assert!(early.as_mut().now_or_never().is_none());
        listed.complete();
        assert_eq!(early.now_or_never(), Some(Ok(())));
        listed.expect();
        assert_eq!(listed.wait().await, Err(NetworkError::ResolverFailure));
    }
}
