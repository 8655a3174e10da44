use std::iter;

use tokio::sync::oneshot;
use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemCtxView};
use wasmtime_wasi::p3::bindings::filesystem::preopens;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize,
    HostDescriptorWithStore, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::{FilesystemError, FilesystemResult};
use wasmtime_wasi::runtime::spawn_blocking;

use super::listing::Listing;
use super::sink::Sink;
use super::write::Position;
use super::{FileSystem, Files, Refusal, Unwritable, charge};
use crate::host::Host;

type Fd = Resource<Descriptor>;
type Done = FutureReader<Result<(), ErrorCode>>;
/// wasmtime-wasi's implementation, over the same store.
type Wasi = WasiFilesystem;

/// A link is what the open itself refuses, if it is not to be followed.
fn is_openable(kind: &DescriptorType) -> bool {
    matches!(kind, DescriptorType::Directory | DescriptorType::RegularFile | DescriptorType::SymbolicLink)
}

impl preopens::Host for Files<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        self.preopens()
    }
}

impl types::Host for Files<'_> {
    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

impl types::HostDescriptor for Files<'_> {
    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.closed(&fd);
        types::HostDescriptor::drop(&mut self.wasi(), fd)
    }
}

impl From<Refusal> for ErrorCode {
    fn from(refusal: Refusal) -> ErrorCode {
        match refusal {
            Refusal::NotDirectory => ErrorCode::NotDirectory,
            Refusal::Busy => ErrorCode::Busy,
            Refusal::CrossDevice => ErrorCode::CrossDevice,
            Refusal::TooManyOpen => ErrorCode::InsufficientMemory,
            Refusal::NoSpace => ErrorCode::InsufficientSpace,
            Refusal::NoFile => ErrorCode::Unsupported,
        }
    }
}

impl From<Refusal> for FilesystemError {
    fn from(refusal: Refusal) -> FilesystemError {
        ErrorCode::from(refusal).into()
    }
}

impl From<Unwritable> for ErrorCode {
    fn from(why: Unwritable) -> ErrorCode {
        match why {
            Unwritable::Folder => ErrorCode::BadDescriptor,
            Unwritable::ReadOnly => ErrorCode::NotPermitted,
        }
    }
}

fn wasi_view(host: &mut Host) -> WasiFilesystemCtxView<'_> {
    host.files().into_wasi()
}

/// A look at the files, between two waits.
fn with<R>(store: &Accessor<Host, FileSystem>, look: impl FnOnce(Files<'_>) -> R) -> R {
    store.with(|mut store| look(store.get()))
}

fn wasi(store: &Accessor<Host, FileSystem>) -> Accessor<Host, Wasi> {
    store.with_getter::<Wasi>(wasi_view)
}

/// A folder whose listing or a file whose content is asked for, if it can be had.
fn ended(store: StoreContextMut<'_, Host>, code: ErrorCode) -> wasmtime::Result<Done> {
    FutureReader::new(store, async move { wasmtime::error::Ok(Err(code)) })
}

fn pipe(
    mut store: Access<'_, Host, FileSystem>,
    fd: &Fd,
    mut data: StreamReader<u8>,
    position: Position,
) -> wasmtime::Result<Done> {
    match store.get().writable(fd)? {
        Ok(file) => {
            let (result, ended) = oneshot::channel();
            data.pipe(&mut store, Sink::new(file, position, result))?;
            FutureReader::new(&mut store, ended)
        }
        Err(why) => {
            data.close(&mut store)?;
            self::ended(store.as_context_mut(), why.into())
        }
    }
}

impl HostDescriptorWithStore<Host> for FileSystem {
    fn read_via_stream(
        mut store: Access<'_, Host, Self>,
        fd: Fd,
        offset: Filesize,
    ) -> wasmtime::Result<(StreamReader<u8>, Done)> {
        let store = Access::<_, Wasi>::new(store.as_context_mut(), wasi_view);
        <Wasi as HostDescriptorWithStore<Host>>::read_via_stream(store, fd, offset)
    }

    fn write_via_stream(
        store: Access<'_, Host, Self>,
        fd: Fd,
        data: StreamReader<u8>,
        offset: Filesize,
    ) -> wasmtime::Result<Done> {
        pipe(store, &fd, data, Position::At(offset))
    }

    fn append_via_stream(store: Access<'_, Host, Self>, fd: Fd, data: StreamReader<u8>) -> wasmtime::Result<Done> {
        pipe(store, &fd, data, Position::End)
    }

    async fn advise(
        store: &Accessor<Host, Self>,
        fd: Fd,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FilesystemResult<()> {
        Wasi::advise(&wasi(store), fd, offset, length, advice).await
    }

    async fn sync_data(store: &Accessor<Host, Self>, fd: Fd) -> FilesystemResult<()> {
        Wasi::sync_data(&wasi(store), fd).await
    }

    async fn get_flags(store: &Accessor<Host, Self>, fd: Fd) -> FilesystemResult<DescriptorFlags> {
        Wasi::get_flags(&wasi(store), fd).await
    }

    /// A mounted file is preopened as a folder would be: WASI has no other way.
    async fn get_type(store: &Accessor<Host, Self>, fd: Fd) -> FilesystemResult<DescriptorType> {
        Wasi::get_type(&wasi(store), fd).await
    }

    async fn set_size(store: &Accessor<Host, Self>, fd: Fd, size: Filesize) -> FilesystemResult<()> {
        let file = with(store, |files| files.writable(&fd)).map_err(FilesystemError::trap)?.map_err(ErrorCode::from)?;
        Ok(spawn_blocking(move || file.set_size(size)).await?)
    }

    async fn set_times(
        store: &Accessor<Host, Self>,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        match with(store, |files| files.single_file(&fd).map(str::to_owned)) {
            Some(name) => {
                Wasi::set_times_at(&wasi(store), fd, PathFlags::SYMLINK_FOLLOW, name, accessed, modified).await
            }
            None => Wasi::set_times(&wasi(store), fd, accessed, modified).await,
        }
    }

    fn read_directory(
        mut store: Access<'_, Host, Self>,
        fd: Fd,
    ) -> wasmtime::Result<(StreamReader<DirectoryEntry>, Done)> {
        let files = store.get();
        let folder = match files.table.get(&fd)? {
            Descriptor::Dir(dir) if files.single_file(&fd).is_none() => dir.dir.clone(),
            _ => {
                let entries = StreamReader::new(&mut store, iter::empty())?;
                return Ok((entries, ended(store.as_context_mut(), ErrorCode::NotDirectory)?));
            }
        };
        let (result, ended) = oneshot::channel();
        let entries = StreamReader::new(&mut store, Listing::new(folder, result))?;
        Ok((entries, FutureReader::new(&mut store, ended)?))
    }

    async fn sync(store: &Accessor<Host, Self>, fd: Fd) -> FilesystemResult<()> {
        Wasi::sync(&wasi(store), fd).await
    }

    async fn create_directory_at(store: &Accessor<Host, Self>, fd: Fd, path: String) -> FilesystemResult<()> {
        let (path, quota) = with(store, |files| (files.entry(&fd, path), files.quota(&fd)));
        let path = path?;
        charge(quota).await?;
        Wasi::create_directory_at(&wasi(store), fd, path).await
    }

    async fn stat(store: &Accessor<Host, Self>, fd: Fd) -> FilesystemResult<DescriptorStat> {
        match with(store, |files| files.single_file(&fd).map(str::to_owned)) {
            Some(name) => Wasi::stat_at(&wasi(store), fd, PathFlags::SYMLINK_FOLLOW, name).await,
            None => Wasi::stat(&wasi(store), fd).await,
        }
    }

    async fn stat_at(
        store: &Accessor<Host, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<DescriptorStat> {
        let path = with(store, |files| files.path(&fd, path))?;
        Wasi::stat_at(&wasi(store), fd, flags, path).await
    }

    async fn set_times_at(
        store: &Accessor<Host, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        let path = with(store, |files| files.path(&fd, path))?;
        Wasi::set_times_at(&wasi(store), fd, flags, path, accessed, modified).await
    }

    async fn link_at(
        store: &Accessor<Host, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
        new_fd: Fd,
        new_path: String,
    ) -> FilesystemResult<()> {
        let (path, new_path) = with(store, |files| files.both(&fd, path, &new_fd, new_path))?;
        charge(with(store, |files| files.quota(&new_fd))).await?;
        Wasi::link_at(&wasi(store), fd, flags, path, new_fd, new_path).await
    }

    async fn open_at(
        store: &Accessor<Host, Self>,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FilesystemResult<Fd> {
        let parent = fd.rep();
        let (path, place, quota) = with(store, |files| (files.path(&fd, path), files.place(), files.quota(&fd)));
        let (path, place) = (path?, place?);
        if open_flags.contains(OpenFlags::CREATE) {
            charge(quota).await?;
        }
        if with(store, |files| files.is_foreign(&fd)) {
            let found = Wasi::stat_at(&wasi(store), Fd::new_borrow(parent), path_flags, path.clone()).await;
            if found.is_ok_and(|found| !is_openable(&found.type_)) {
                return Err(Refusal::NoFile.into());
            }
        }
        let opened = Wasi::open_at(&wasi(store), fd, path_flags, path, open_flags, flags).await?;
        with(store, |mut files| files.opened(parent, &opened, place)).map_err(FilesystemError::trap)?;
        Ok(opened)
    }

    async fn readlink_at(store: &Accessor<Host, Self>, fd: Fd, path: String) -> FilesystemResult<String> {
        let path = with(store, |files| files.path(&fd, path))?;
        Wasi::readlink_at(&wasi(store), fd, path).await
    }

    async fn remove_directory_at(store: &Accessor<Host, Self>, fd: Fd, path: String) -> FilesystemResult<()> {
        let path = with(store, |files| files.entry(&fd, path))?;
        Wasi::remove_directory_at(&wasi(store), fd, path).await
    }

    async fn rename_at(
        store: &Accessor<Host, Self>,
        fd: Fd,
        path: String,
        new_fd: Fd,
        new_path: String,
    ) -> FilesystemResult<()> {
        let (path, new_path) = with(store, |files| files.both(&fd, path, &new_fd, new_path))?;
        Wasi::rename_at(&wasi(store), fd, path, new_fd, new_path).await
    }

    async fn symlink_at(store: &Accessor<Host, Self>, fd: Fd, target: String, path: String) -> FilesystemResult<()> {
        let (path, quota) = with(store, |files| (files.entry(&fd, path), files.quota(&fd)));
        let path = path?;
        charge(quota).await?;
        Wasi::symlink_at(&wasi(store), fd, target, path).await
    }

    async fn unlink_file_at(store: &Accessor<Host, Self>, fd: Fd, path: String) -> FilesystemResult<()> {
        let path = with(store, |files| files.entry(&fd, path))?;
        Wasi::unlink_file_at(&wasi(store), fd, path).await
    }

    async fn is_same_object(store: &Accessor<Host, Self>, fd: Fd, other: Fd) -> wasmtime::Result<bool> {
        Wasi::is_same_object(&wasi(store), fd, other).await
    }

    async fn metadata_hash(store: &Accessor<Host, Self>, fd: Fd) -> FilesystemResult<MetadataHashValue> {
        match with(store, |files| files.single_file(&fd).map(str::to_owned)) {
            Some(name) => Wasi::metadata_hash_at(&wasi(store), fd, PathFlags::SYMLINK_FOLLOW, name).await,
            None => Wasi::metadata_hash(&wasi(store), fd).await,
        }
    }

    async fn metadata_hash_at(
        store: &Accessor<Host, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<MetadataHashValue> {
        let path = with(store, |files| files.path(&fd, path))?;
        Wasi::metadata_hash_at(&wasi(store), fd, flags, path).await
    }
}
