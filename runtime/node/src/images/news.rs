//! Notices that another process loaded an image.

use std::time::Duration;

use tokio::sync::watch;

use super::ImageStore;

/// Looks once a second (one `stat`), and tells whoever waits for an image.
pub(crate) async fn tell(store: ImageStore, news: watch::Sender<()>) {
    let mut known = store.version();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let version = store.version();
        if version != known {
            known = version;
            news.send_replace(());
        }
    }
}
