//! `wasi:keyvalue@0.2.0-draft`.

use wasmtime::component::{Linker, Resource};

use self::bindings::wasi::keyvalue::{atomics, batch, store};
use super::{Error, HasKeyValue, Opened, View, view};
use crate::host::Host;

mod bindings {
    #![allow(unreachable_pub, reason = "generated")]
    wasmtime::component::bindgen!({
        path: "wit/keyvalue-draft",
        world: "imports",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": crate::capabilities::keyvalue::Opened },
        trappable_error_type: { "wasi:keyvalue/store.error" => crate::capabilities::keyvalue::Error },
    });
}

pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    store::add_to_linker::<Host, HasKeyValue>(linker, view)?;
    atomics::add_to_linker::<Host, HasKeyValue>(linker, view)?;
    batch::add_to_linker::<Host, HasKeyValue>(linker, view)
}

impl store::Host for View<'_> {
    async fn open(&mut self, name: String) -> Result<Resource<Opened>, Error> {
        View::open(self, &name)
    }

    fn convert_error(&mut self, error: Error) -> wasmtime::Result<store::Error> {
        match error {
            Error::NoSuchStore => Ok(store::Error::NoSuchStore),
            Error::AccessDenied => Ok(store::Error::AccessDenied),
            Error::Other(message) => Ok(store::Error::Other(message)),
            Error::Trap(error) => Err(error),
        }
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

    async fn list_keys(&mut self, bucket: Resource<Opened>, cursor: Option<u64>) -> Result<store::KeyResponse, Error> {
        let after = cursor.map(|cursor| self.table.get(&bucket)?.cursors.find(cursor)).transpose()?;
        let page = self.bucket(&bucket)?.list(after).await?;
        let last = page.keys.last().filter(|_| page.more).cloned();
        let cursors = &mut self.table.get_mut(&bucket)?.cursors;
        Ok(store::KeyResponse { cursor: last.map(|last| cursors.keep(last)), keys: page.keys })
    }

    async fn drop(&mut self, bucket: Resource<Opened>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for View<'_> {
    async fn increment(&mut self, bucket: Resource<Opened>, key: String, delta: u64) -> Result<u64, Error> {
        let sum = self.writable(&bucket)?.increment(key, delta.into(), 0, u64::MAX.into()).await?;
        u64::try_from(sum).map_err(|_| Error::Other(format!("{sum} is no u64")))
    }
}

impl batch::Host for View<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Opened>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, Error> {
        let values = self.get(&bucket, keys.clone()).await?;
        Ok(keys.into_iter().zip(values).map(|(key, value)| Some((key, value?))).collect())
    }

    async fn set_many(&mut self, bucket: Resource<Opened>, entries: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        self.set(&bucket, entries).await
    }

    async fn delete_many(&mut self, bucket: Resource<Opened>, keys: Vec<String>) -> Result<(), Error> {
        self.delete(&bucket, keys).await
    }
}
