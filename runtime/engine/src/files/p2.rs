use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Filesize, Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};
use wasmtime_wasi::runtime::spawn_blocking;

use super::output::FileOutput;
use super::write::{Position, Writable};
use super::{Files, Refusal, Unwritable, charge};

type Fd = Resource<Descriptor>;

impl preopens::Host for Files<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        self.preopens()
    }
}

impl Host for Files<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.wasi(), error)
    }
}

impl From<Refusal> for FsError {
    fn from(refusal: Refusal) -> FsError {
        FsError::from(match refusal {
            Refusal::NotDirectory => ErrorCode::NotDirectory,
            Refusal::Busy => ErrorCode::Busy,
            Refusal::CrossDevice => ErrorCode::CrossDevice,
            Refusal::TooManyOpen => ErrorCode::InsufficientMemory,
            Refusal::NoSpace => ErrorCode::InsufficientSpace,
            Refusal::NoFile => ErrorCode::Unsupported,
        })
    }
}

impl Files<'_> {
    fn file(&self, fd: &Fd) -> FsResult<Writable> {
        self.writable(fd).map_err(FsError::trap)?.map_err(|why| match why {
            Unwritable::Folder => ErrorCode::BadDescriptor.into(),
            Unwritable::ReadOnly => ErrorCode::NotPermitted.into(),
        })
    }

    fn output(&mut self, fd: &Fd, position: Position) -> FsResult<Resource<DynOutputStream>> {
        let output: DynOutputStream = Box::new(FileOutput::new(self.file(fd)?, position));
        Ok(self.table.push(output)?)
    }
}

/// A link is what the open itself refuses, if it is not to be followed.
fn is_openable(kind: DescriptorType) -> bool {
    matches!(kind, DescriptorType::Directory | DescriptorType::RegularFile | DescriptorType::SymbolicLink)
}

impl HostDescriptor for Files<'_> {
    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.wasi().read_via_stream(fd, offset)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        self.output(&fd, Position::At(offset))
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        self.output(&fd, Position::End)
    }

    async fn advise(&mut self, fd: Fd, offset: Filesize, length: Filesize, advice: Advice) -> FsResult<()> {
        self.wasi().advise(fd, offset, length, advice).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.wasi().sync_data(fd).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.wasi().sync(fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        self.wasi().get_flags(fd).await
    }

    /// A mounted file is preopened as a folder would be: WASI has no other way.
    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        self.wasi().get_type(fd).await
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        let file = self.file(&fd)?;
        Ok(spawn_blocking(move || file.set_size(size)).await?)
    }

    async fn set_times(&mut self, fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        match self.single_file(&fd).map(str::to_owned) {
            Some(name) => self.wasi().set_times_at(fd, PathFlags::SYMLINK_FOLLOW, name, accessed, modified).await,
            None => self.wasi().set_times(fd, accessed, modified).await,
        }
    }

    async fn read(&mut self, fd: Fd, length: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)> {
        self.wasi().read(fd, length, offset).await
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        let file = self.file(&fd)?;
        let written = spawn_blocking(move || file.write(&bytes, Position::At(offset))).await?;
        Ok(written as Filesize)
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        if self.single_file(&fd).is_some() {
            return Err(Refusal::NotDirectory.into());
        }
        self.wasi().read_directory(fd).await
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let path = self.entry(&fd, path)?;
        charge(self.quota(&fd)).await?;
        self.wasi().create_directory_at(fd, path).await
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        match self.single_file(&fd).map(str::to_owned) {
            Some(name) => self.wasi().stat_at(fd, PathFlags::SYMLINK_FOLLOW, name).await,
            None => self.wasi().stat(fd).await,
        }
    }

    async fn stat_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        let path = self.path(&fd, path)?;
        self.wasi().stat_at(fd, flags, path).await
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let path = self.path(&fd, path)?;
        self.wasi().set_times_at(fd, flags, path, accessed, modified).await
    }

    async fn link_at(&mut self, fd: Fd, flags: PathFlags, path: String, new_fd: Fd, new_path: String) -> FsResult<()> {
        let (path, new_path) = self.both(&fd, path, &new_fd, new_path)?;
        charge(self.quota(&new_fd)).await?;
        self.wasi().link_at(fd, flags, path, new_fd, new_path).await
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let (path, place, parent) = (self.path(&fd, path)?, self.place()?, fd.rep());
        if open_flags.contains(OpenFlags::CREATE) {
            charge(self.quota(&fd)).await?;
        }
        if self.is_foreign(&fd) {
            let found = self.wasi().stat_at(Fd::new_borrow(parent), path_flags, path.clone()).await;
            if found.is_ok_and(|found| !is_openable(found.type_)) {
                return Err(Refusal::NoFile.into());
            }
        }
        let opened = self.wasi().open_at(fd, path_flags, path, open_flags, flags).await?;
        self.opened(parent, &opened, place).map_err(FsError::trap)?;
        Ok(opened)
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let path = self.path(&fd, path)?;
        self.wasi().readlink_at(fd, path).await
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let path = self.entry(&fd, path)?;
        self.wasi().remove_directory_at(fd, path).await
    }

    async fn rename_at(&mut self, fd: Fd, path: String, new_fd: Fd, new_path: String) -> FsResult<()> {
        let (path, new_path) = self.both(&fd, path, &new_fd, new_path)?;
        self.wasi().rename_at(fd, path, new_fd, new_path).await
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        let path = self.entry(&fd, path)?;
        charge(self.quota(&fd)).await?;
        self.wasi().symlink_at(fd, target, path).await
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let path = self.entry(&fd, path)?;
        self.wasi().unlink_file_at(fd, path).await
    }

    async fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        self.wasi().is_same_object(one, other).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        match self.single_file(&fd).map(str::to_owned) {
            Some(name) => self.wasi().metadata_hash_at(fd, PathFlags::SYMLINK_FOLLOW, name).await,
            None => self.wasi().metadata_hash(fd).await,
        }
    }

    async fn metadata_hash_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        let path = self.path(&fd, path)?;
        self.wasi().metadata_hash_at(fd, flags, path).await
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.closed(&fd);
        HostDescriptor::drop(&mut self.wasi(), fd)
    }
}

impl HostDirectoryEntryStream for Files<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.wasi().read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.wasi(), stream)
    }
}
