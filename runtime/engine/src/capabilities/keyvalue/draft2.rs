//! `wasi:keyvalue@0.2.0-draft2`: textual cursors, signed numbers, compare-and-swap.

use std::sync::Arc;

use wasmtime::component::{Linker, Resource};

use self::bindings::wasi::keyvalue::{atomics, batch, store};
use super::{Bucket, Error, HasKeyValue, Opened, Swapped, View, view};
use crate::host::Host;

mod bindings {
    #![allow(unreachable_pub, reason = "generated")]
    wasmtime::component::bindgen!({
        path: "wit/keyvalue-draft2",
        world: "imports",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": crate::capabilities::keyvalue::Opened,
            "wasi:keyvalue/atomics.cas": crate::capabilities::keyvalue::draft2::Cas,
        },
        trappable_error_type: {
            "wasi:keyvalue/store.error" => crate::capabilities::keyvalue::Error,
            "wasi:keyvalue/atomics.cas-error" => crate::capabilities::keyvalue::draft2::CasError,
        },
    });
}

pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    store::add_to_linker::<Host, HasKeyValue>(linker, view)?;
    atomics::add_to_linker::<Host, HasKeyValue>(linker, view)?;
    batch::add_to_linker::<Host, HasKeyValue>(linker, view)
}

/// A value as it was read, to be replaced only if it still is.
#[allow(unreachable_pub, reason = "the bindings re-export it")]
pub struct Cas {
    bucket: Arc<dyn Bucket>,
    writable: bool,
    key: String,
    current: Option<Vec<u8>>,
}

pub(crate) enum CasError {
    Store(Error),
    Failed(Resource<Cas>),
}

impl From<Error> for CasError {
    fn from(error: Error) -> CasError {
        CasError::Store(error)
    }
}

fn store_error(error: Error) -> wasmtime::Result<store::Error> {
    match error {
        Error::NoSuchStore => Ok(store::Error::NoSuchStore),
        Error::AccessDenied => Ok(store::Error::AccessDenied),
        Error::Other(message) => Ok(store::Error::Other(message)),
        Error::Trap(error) => Err(error),
    }
}

impl store::Host for View<'_> {
    async fn open(&mut self, name: String) -> Result<Resource<Opened>, Error> {
        View::open(self, &name)
    }

    fn convert_error(&mut self, error: Error) -> wasmtime::Result<store::Error> {
        store_error(error)
    }
}

impl store::HostBucket for View<'_> {
    async fn get(&mut self, bucket: Resource<Opened>, key: String) -> Result<Option<Vec<u8>>, Error> {
        self.get_one(&bucket, key).await
    }

    async fn set(&mut self, bucket: Resource<Opened>, key: String, value: Vec<u8>) -> Result<(), Error> {
        View::set(self, &bucket, vec![(key, value)]).await
    }

    async fn delete(&mut self, bucket: Resource<Opened>, key: String) -> Result<(), Error> {
        View::delete(self, &bucket, vec![key]).await
    }

    async fn exists(&mut self, bucket: Resource<Opened>, key: String) -> Result<bool, Error> {
        Ok(self.get_one(&bucket, key).await?.is_some())
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Opened>,
        after: Option<String>,
    ) -> Result<store::KeyResponse, Error> {
        let page = self.bucket(&bucket)?.list(after).await?;
        let cursor = page.keys.last().filter(|_| page.more).cloned();
        Ok(store::KeyResponse { keys: page.keys, cursor })
    }

    async fn drop(&mut self, bucket: Resource<Opened>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for View<'_> {
    async fn increment(&mut self, bucket: Resource<Opened>, key: String, delta: i64) -> Result<i64, Error> {
        let sum = self.writable(&bucket)?.increment(key, delta.into(), i64::MIN.into(), i64::MAX.into()).await?;
        i64::try_from(sum).map_err(|_| Error::Other(format!("{sum} is no s64")))
    }

    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> Result<(), CasError> {
        let Cas { bucket, writable, key, current } = self.table.delete(cas).map_err(Error::from)?;
        if !writable {
            return Err(Error::AccessDenied.into());
        }
        match bucket.swap(key.clone(), current, value).await.map_err(Error::from)? {
            Swapped::Done => Ok(()),
            Swapped::Changed(current) => {
                let again = self.table.push(Cas { bucket, writable, key, current }).map_err(Error::from)?;
                Err(CasError::Failed(again))
            }
        }
    }

    fn convert_cas_error(&mut self, error: CasError) -> wasmtime::Result<atomics::CasError> {
        match error {
            CasError::Store(error) => store_error(error).map(atomics::CasError::StoreError),
            CasError::Failed(cas) => Ok(atomics::CasError::CasFailed(cas)),
        }
    }
}

impl atomics::HostCas for View<'_> {
    async fn new(&mut self, bucket: Resource<Opened>, key: String) -> Result<Resource<Cas>, Error> {
        let current = self.get_one(&bucket, key.clone()).await?;
        let grant = self.table.get(&bucket)?.grant.clone();
        Ok(self.table.push(Cas { bucket: grant.bucket, writable: grant.writable, key, current })?)
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.table.get(&cas)?.current.clone())
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

impl batch::Host for View<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Opened>,
        keys: Vec<String>,
    ) -> Result<Vec<(String, Option<Vec<u8>>)>, Error> {
        let values = self.get(&bucket, keys.clone()).await?;
        Ok(keys.into_iter().zip(values).collect())
    }

    async fn set_many(&mut self, bucket: Resource<Opened>, entries: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        self.set(&bucket, entries).await
    }

    async fn delete_many(&mut self, bucket: Resource<Opened>, keys: Vec<String>) -> Result<(), Error> {
        self.delete(&bucket, keys).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::FutureExt;
    use futures::future::BoxFuture;
    use parking_lot::Mutex;
    use wasmtime::component::ResourceTable;

    use super::*;
    use crate::capabilities::Capabilities;
    use crate::capabilities::keyvalue::{BucketError, BucketGrant, Keys};

    /// One value, of whatever key.
    #[derive(Default)]
    struct One(Mutex<Option<Vec<u8>>>);

    fn now<T: Send + 'static>(value: T) -> BoxFuture<'static, Result<T, BucketError>> {
        async { Ok(value) }.boxed()
    }

    impl Bucket for One {
        fn get(&self, keys: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<Vec<u8>>>, BucketError>> {
            now(keys.iter().map(|_| self.0.lock().clone()).collect())
        }

        fn set(&self, entries: Vec<(String, Vec<u8>)>) -> BoxFuture<'_, Result<(), BucketError>> {
            *self.0.lock() = entries.into_iter().next_back().map(|(_, value)| value);
            now(())
        }

        fn delete(&self, _: Vec<String>) -> BoxFuture<'_, Result<(), BucketError>> {
            *self.0.lock() = None;
            now(())
        }

        fn list(&self, after: Option<String>) -> BoxFuture<'_, Result<Keys, BucketError>> {
            let more = after.is_none();
            now(Keys { keys: vec![after.map_or("first".to_owned(), |after| format!("after {after}"))], more })
        }

        fn increment(&self, _: String, delta: i128, _: i128, _: i128) -> BoxFuture<'_, Result<i128, BucketError>> {
            now(delta)
        }

        fn swap(
            &self,
            _: String,
            expected: Option<Vec<u8>>,
            value: Vec<u8>,
        ) -> BoxFuture<'_, Result<Swapped, BucketError>> {
            let mut current = self.0.lock();
            if *current != expected {
                return now(Swapped::Changed(current.clone()));
            }
            *current = Some(value);
            now(Swapped::Done)
        }
    }

    fn granted(bucket: Arc<One>, writable: bool) -> Capabilities {
        let buckets = BTreeMap::from([("b".to_owned(), BucketGrant { bucket, writable })]);
        Capabilities { buckets, ..Capabilities::default() }
    }

    #[tokio::test]
    async fn a_swap_that_failed_can_be_tried_again_with_what_is_there_now() {
        let (bucket, mut table) = (Arc::new(One::default()), ResourceTable::new());
        let capabilities = granted(bucket.clone(), true);
        let mut view = View { capabilities: &capabilities, table: &mut table };
        let opened = view.open("b").unwrap();
        let again = || Resource::<Opened>::new_borrow(opened.rep());
        let first = atomics::HostCas::new(&mut view, again(), "k".into()).await.unwrap();
        let second = atomics::HostCas::new(&mut view, again(), "k".into()).await.unwrap();
        atomics::Host::swap(&mut view, first, b"1".to_vec()).await.ok().unwrap();
        let failed = atomics::Host::swap(&mut view, second, b"2".to_vec()).await.unwrap_err();
        let CasError::Failed(third) = failed else { panic!("it was not tried") };
        let current = atomics::HostCas::current(&mut view, Resource::new_borrow(third.rep())).await.unwrap();
        assert_eq!(current, Some(b"1".to_vec()));
        atomics::Host::swap(&mut view, third, b"3".to_vec()).await.ok().unwrap();
        assert_eq!(*bucket.0.lock(), Some(b"3".to_vec()));
    }

    #[tokio::test]
    async fn what_is_read_only_is_not_swapped() {
        let (bucket, mut table) = (Arc::new(One::default()), ResourceTable::new());
        let capabilities = granted(bucket.clone(), false);
        let mut view = View { capabilities: &capabilities, table: &mut table };
        let opened = view.open("b").unwrap();
        let cas = atomics::HostCas::new(&mut view, opened, "k".into()).await.unwrap();
        let refused = atomics::Host::swap(&mut view, cas, b"1".to_vec()).await;
        assert!(matches!(refused, Err(CasError::Store(Error::AccessDenied))));
        assert_eq!(*bucket.0.lock(), None);
    }

    #[tokio::test]
    async fn a_list_goes_on_after_its_cursor() {
        let mut table = ResourceTable::new();
        let capabilities = granted(Arc::default(), false);
        let mut view = View { capabilities: &capabilities, table: &mut table };
        let opened = view.open("b").unwrap();
        let again = || Resource::<Opened>::new_borrow(opened.rep());
        let first = store::HostBucket::list_keys(&mut view, again(), None).await.unwrap();
        assert_eq!((first.keys, first.cursor.as_deref()), (vec!["first".to_owned()], Some("first")));
        let second = store::HostBucket::list_keys(&mut view, again(), Some("first".into())).await.unwrap();
        assert_eq!((second.keys, second.cursor), (vec!["after first".to_owned()], None));
    }
}
