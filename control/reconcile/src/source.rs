use std::fmt::Debug;
use std::future::Future;

use futures::stream::{BoxStream, StreamExt};
use kube::api::{Api, ListParams, ObjectList, WatchEvent, WatchParams};
use kube::core::{DynamicObject, PartialObjectMeta};
use serde::de::DeserializeOwned;

/// Where a reflector gets its objects from.
pub trait Source<K: Clone>: Send + Sync + 'static {
    /// One page of the list.
    fn list(&self, params: &ListParams) -> impl Future<Output = kube::Result<ObjectList<K>>> + Send;

    /// What happened since this resource version.
    fn watch(
        &self,
        since: &str,
    ) -> impl Future<Output = kube::Result<BoxStream<'static, kube::Result<WatchEvent<K>>>>> + Send;
}

/// Whole objects, possibly narrowed by a field selector.
pub struct Whole<K> {
    /// The API to read from.
    pub api: Api<K>,
    /// A field selector; `None` for all.
    pub fields: Option<String>,
}

impl<K> Source<K> for Whole<K>
where
    K: Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    async fn list(&self, params: &ListParams) -> kube::Result<ObjectList<K>> {
        let params = ListParams { field_selector: self.fields.clone(), ..params.clone() };
        self.api.list(&params).await
    }

    async fn watch(&self, since: &str) -> kube::Result<BoxStream<'static, kube::Result<WatchEvent<K>>>> {
        let params = WatchParams { field_selector: self.fields.clone(), ..WatchParams::default() };
        Ok(self.api.watch(&params, since).await?.boxed())
    }
}

/// Only the metadata of any kind's objects: all that ownership needs.
pub struct MetadataOnly(pub Api<DynamicObject>);

impl Source<PartialObjectMeta> for MetadataOnly {
    async fn list(&self, params: &ListParams) -> kube::Result<ObjectList<PartialObjectMeta>> {
        self.0.list_metadata(params).await
    }

    async fn watch(
        &self,
        since: &str,
    ) -> kube::Result<BoxStream<'static, kube::Result<WatchEvent<PartialObjectMeta>>>> {
        Ok(self.0.watch_metadata(&WatchParams::default(), since).await?.boxed())
    }
}
