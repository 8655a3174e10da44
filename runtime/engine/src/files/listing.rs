use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::vec;

use rustix::fs::{AtFlags, Dir, FileType, statat};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};
use wasmtime_wasi::p3::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn_blocking};

/// The entries of a folder, as a 0.3 stream.
///
/// The folder is read at once, as for 0.2: wasmtime-wasi keeps a blocking thread and a descriptor for as long as a guest
/// leaves a listing half read, and some hundreds of those would stop the file operations of every guest.
pub(super) struct Listing {
    task: Option<AbortOnDropJoinHandle<Result<Vec<DirectoryEntry>, ErrorCode>>>,
    entries: vec::IntoIter<DirectoryEntry>,
    result: Option<oneshot::Sender<Result<(), ErrorCode>>>,
}

impl Listing {
    pub(super) fn new(folder: Arc<File>, result: oneshot::Sender<Result<(), ErrorCode>>) -> Listing {
        let task = spawn_blocking(move || entries(&folder));
        Listing { task: Some(task), entries: Vec::new().into_iter(), result: Some(result) }
    }

    fn close(&mut self, how: Result<(), ErrorCode>) {
        if let Some(result) = self.result.take() {
            // Nobody may ask how it ended.
            let _ = result.send(how);
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ErrorCode>> {
        let Some(task) = &mut self.task else { return Poll::Ready(Ok(())) };
        let read = ready!(Pin::new(task).poll(cx));
        self.task = None;
        self.entries = read?.into_iter();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.close(Ok(()));
    }
}

/// Entries that are handed over at once to a reader that does not say how many it takes.
const BATCH: usize = 64;

impl<D> StreamProducer<D> for Listing {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut to: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.poll_read(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(code)) => {
                self.close(Err(code));
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
            Poll::Ready(Ok(())) => {}
        }
        let wanted = to.remaining(&mut store).unwrap_or(BATCH);
        if wanted > 0 {
            let batch: Vec<_> = self.entries.by_ref().take(wanted).collect();
            to.set_buffer(batch.into());
            if self.entries.len() == 0 {
                self.close(Ok(()));
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

fn entries(folder: &File) -> Result<Vec<DirectoryEntry>, ErrorCode> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(folder).map_err(io::Error::from)? {
        let entry = entry.map_err(io::Error::from)?;
        let name = entry.file_name().to_str().map_err(|_| ErrorCode::IllegalByteSequence)?;
        if matches!(name, "." | "..") {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not say; the entry may be gone by now.
            FileType::Unknown => statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
            kind => kind,
        };
        entries.push(DirectoryEntry { type_: descriptor_type(kind), name: name.to_owned() });
    }
    Ok(entries)
}

fn descriptor_type(kind: FileType) -> DescriptorType {
    match kind {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Other(None),
    }
}
