//! Follows the Secrets that Ingresses name, each by itself: a gateway may read no other.

use std::collections::{HashMap, HashSet};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use rustls::sign::CertifiedKey;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinSet};

use super::certificates;
use crate::table::ObjectName;

/// What has become of a Secret: its certificate, or that it has none.
pub(crate) type News = (ObjectName, Option<CertifiedKey>);

/// A watch for each Secret that is wanted. It owns their tasks.
pub(crate) struct Secrets {
    client: Client,
    watched: HashMap<ObjectName, AbortHandle>,
    watching: JoinSet<()>,
    tell: UnboundedSender<News>,
    news: UnboundedReceiver<News>,
}

impl Secrets {
    pub(crate) fn new(client: Client) -> Secrets {
        let (tell, news) = unbounded_channel();
        Secrets { client, watched: HashMap::new(), watching: JoinSet::new(), tell, news }
    }

    /// From now on these are followed, and no others. Answers those that are no more.
    pub(crate) fn want(&mut self, wanted: &HashSet<ObjectName>) -> Vec<ObjectName> {
        while self.watching.try_join_next().is_some() {}
        let gone: Vec<ObjectName> = self.watched.keys().filter(|name| !wanted.contains(name)).cloned().collect();
        for name in &gone {
            if let Some(watch) = self.watched.remove(name) {
                watch.abort();
            }
        }
        for name in wanted {
            if !self.watched.contains_key(name) {
                let watch = follow(self.client.clone(), name.clone(), self.tell.clone());
                self.watched.insert(name.clone(), self.watching.spawn(watch));
            }
        }
        gone
    }

    /// The next change of one that is followed.
    pub(crate) async fn next(&mut self) -> News {
        loop {
            let (name, key) = self.news.recv().await.expect("this holds a sender itself");
            // One that is wanted no more may have told something just before.
            if self.watched.contains_key(&name) {
                return (name, key);
            }
        }
    }
}

/// Tells what becomes of one Secret, for ever: a watch that breaks is begun again, with back-off.
async fn follow(client: Client, name: ObjectName, tell: UnboundedSender<News>) {
    let api = Api::<Secret>::namespaced(client, &name.namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", name.name));
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    let (mut is_there, mut has_complained) = (false, false);
    while let Some(event) = events.next().await {
        let news = match event {
            Ok(Event::Apply(secret) | Event::InitApply(secret)) => {
                is_there = true;
                Some(read(&name, &secret))
            }
            Ok(Event::Init) => {
                is_there = false;
                None
            }
            Ok(Event::Delete(_)) => Some(None),
            Ok(Event::InitDone) if !is_there => {
                tracing::warn!(secret = %told(&name), "an Ingress names a Secret that is not there");
                Some(None)
            }
            Ok(Event::InitDone) => None,
            Err(error) => {
                if !std::mem::replace(&mut has_complained, true) {
                    tracing::warn!(%error, secret = %told(&name), "the certificate of an Ingress cannot be read; it is tried again");
                }
                None
            }
        };
        if let Some(key) = news {
            has_complained = false;
            // It can only fail when this is about to end.
            let _ = tell.send((name.clone(), key));
        }
    }
}

/// One that cannot be used is as none: clients see the default certificate rather than an old one.
fn read(name: &ObjectName, secret: &Secret) -> Option<CertifiedKey> {
    let key = certificates::read(secret);
    key.inspect_err(|error| tracing::warn!(%error, secret = %told(name), "a Secret of an Ingress is no certificate"))
        .ok()
}

fn told(name: &ObjectName) -> String {
    format!("{}/{}", name.namespace, name.name)
}
