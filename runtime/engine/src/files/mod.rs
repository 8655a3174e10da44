//! The files that a guest sees: the mounts of its container, in `wasi:filesystem` 0.2 and 0.3.
//!
//! What a path means below a preopened folder is wasmtime-wasi's to say: it resolves every path within the folder's own
//! handle (`openat2` with `RESOLVE_BENEATH` where there is one), so that neither `..` nor a link, whoever planted it and
//! whenever, leads out. What stands here is around that, once for both versions:
//! - preopened folders are shared by all instances of a container, and opened when the first of them asks (`mount.rs`);
//! - open files are counted, by container and by node (`open.rs`);
//! - what a file grows by is taken from the mount's [`Quota`] before it is written (`write.rs`);
//! - FIFOs, sockets and devices in folders of the host's can be looked at and not opened: WASI has no open that does not
//!   wait (the type is looked at first; a host that exchanges a file for a FIFO in that moment is not guarded against);
//! - nothing is renamed or linked from one mount to another, as between two file systems: a file would leave its quota.
//!
//! File operations run on threads that may block, one at a time for each operation of a guest, and are not charged to the
//! container's CPU.

mod listing;
mod mount;
mod open;
mod output;
mod p2;
mod p3;
mod sink;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime::error::Context as _;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::runtime::spawn_blocking;

pub use mount::{Folder, Mount, Quota};
pub(crate) use open::{NodeFiles, OpenFiles};

use open::Place;
use write::Writable;

/// The files of one instance.
pub(crate) struct InstanceFiles {
    mounts: Arc<[Mount]>,
    open: Arc<OpenFiles>,
    /// The mount that each descriptor belongs to, by its place in the table.
    owners: HashMap<u32, usize>,
    /// What wasmtime-wasi works on: it knows no preopened folder of its own.
    wasi: WasiFilesystemCtx,
}

impl InstanceFiles {
    pub(crate) fn new(mounts: Arc<[Mount]>, open: Arc<OpenFiles>) -> InstanceFiles {
        InstanceFiles { mounts, open, owners: HashMap::new(), wasi: WasiFilesystemCtx::default() }
    }
}

/// Links `wasi:filesystem` to [`Files`].
pub(crate) struct FileSystem;

impl HasData for FileSystem {
    type Data<'a> = Files<'a>;
}

/// The files of one instance, and the table of its descriptors.
pub(crate) struct Files<'a> {
    pub(crate) own: &'a mut InstanceFiles,
    pub(crate) table: &'a mut ResourceTable,
}

/// Why something is refused here already; each version has its own error code for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// A path below what is one file.
    NotDirectory,
    /// The place of a mounted file cannot be removed or taken by another.
    Busy,
    /// From one mount to another.
    CrossDevice,
    /// No more files may be open. WASI has no code for "too many open files".
    TooManyOpen,
    /// The quota has no place for it.
    NoSpace,
    /// A FIFO, a socket or a device.
    NoFile,
}

/// Bytes that a new file, folder or link takes of a quota: file systems need about this much for the entry itself.
const ENTRY: u64 = 512;

impl<'a> Files<'a> {
    /// wasmtime-wasi's own view of the same.
    fn wasi(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView { ctx: &mut self.own.wasi, table: self.table }
    }

    fn into_wasi(self) -> WasiFilesystemCtxView<'a> {
        WasiFilesystemCtxView { ctx: &mut self.own.wasi, table: self.table }
    }

    fn preopens(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mounts = self.own.mounts.clone();
        let mut preopens = Vec::with_capacity(mounts.len());
        for (n, mount) in mounts.iter().enumerate() {
            let folder = mount.open().with_context(|| {
                format!("cannot open {} for the mount at {}", mount.host_path().display(), mount.guest_path())
            })?;
            let descriptor = self.table.push(Descriptor::Dir(folder))?;
            self.own.owners.insert(descriptor.rep(), n);
            preopens.push((descriptor, mount.guest_path().to_owned()));
        }
        Ok(preopens)
    }

    fn mount(&self, descriptor: &Resource<Descriptor>) -> Option<&Mount> {
        self.own.owners.get(&descriptor.rep()).and_then(|n| self.own.mounts.get(*n))
    }

    /// The one file of a mount, if this is such a mount.
    fn single_file(&self, descriptor: &Resource<Descriptor>) -> Option<&str> {
        self.mount(descriptor).and_then(Mount::single_file)
    }

    /// The path to look up below this folder.
    fn path(&self, folder: &Resource<Descriptor>, path: String) -> Result<String, Refusal> {
        match self.single_file(folder) {
            None => Ok(path),
            Some(name) if is_itself(&path) => Ok(name.to_owned()),
            Some(_) => Err(Refusal::NotDirectory),
        }
    }

    /// The path of an entry that is to be made or taken away below this folder.
    fn entry(&self, folder: &Resource<Descriptor>, path: String) -> Result<String, Refusal> {
        match self.single_file(folder) {
            None => Ok(path),
            Some(_) if is_itself(&path) => Err(Refusal::Busy),
            Some(_) => Err(Refusal::NotDirectory),
        }
    }

    /// The two paths of a rename or link, which stay in one mount.
    fn both(
        &self,
        folder: &Resource<Descriptor>,
        path: String,
        new_folder: &Resource<Descriptor>,
        new_path: String,
    ) -> Result<(String, String), Refusal> {
        self.same_mount(folder, new_folder)?;
        Ok((self.entry(folder, path)?, self.entry(new_folder, new_path)?))
    }

    fn same_mount(&self, one: &Resource<Descriptor>, other: &Resource<Descriptor>) -> Result<(), Refusal> {
        let owner = |descriptor: &Resource<Descriptor>| self.own.owners.get(&descriptor.rep());
        if owner(one) == owner(other) { Ok(()) } else { Err(Refusal::CrossDevice) }
    }

    fn quota(&self, descriptor: &Resource<Descriptor>) -> Option<Arc<dyn Quota>> {
        self.mount(descriptor).and_then(Mount::bound)
    }

    /// Whether something that is no file may lie below this folder. No guest can make such a thing.
    fn is_foreign(&self, folder: &Resource<Descriptor>) -> bool {
        self.mount(folder).is_some_and(Mount::is_foreign)
    }

    fn place(&self) -> Result<Place, Refusal> {
        self.own.open.reserve().ok_or(Refusal::TooManyOpen)
    }

    /// Takes in what was opened below `parent`.
    fn opened(&mut self, parent: u32, opened: &Resource<Descriptor>, place: Place) -> wasmtime::Result<()> {
        match self.table.get(opened)? {
            Descriptor::File(file) => place.fill(&file.file),
            Descriptor::Dir(dir) => place.fill(&dir.dir),
        }
        if let Some(owner) = self.own.owners.get(&parent).copied() {
            self.own.owners.insert(opened.rep(), owner);
        }
        Ok(())
    }

    fn closed(&mut self, descriptor: &Resource<Descriptor>) {
        self.own.owners.remove(&descriptor.rep());
    }

    /// The file to write to, if it is one and may be written.
    fn writable(&self, descriptor: &Resource<Descriptor>) -> wasmtime::Result<Result<Writable, Unwritable>> {
        Ok(match self.table.get(descriptor)? {
            Descriptor::Dir(_) => Err(Unwritable::Folder),
            Descriptor::File(file) if file.perms.write_not_permitted() => Err(Unwritable::ReadOnly),
            Descriptor::File(file) => Ok(Writable { file: file.file.clone(), quota: self.quota(descriptor) }),
        })
    }
}

/// Why a descriptor cannot be written to.
enum Unwritable {
    Folder,
    ReadOnly,
}

fn is_itself(path: &str) -> bool {
    matches!(path, "" | "." | "./")
}

/// Takes the place of a new entry from a quota.
async fn charge(quota: Option<Arc<dyn Quota>>) -> Result<(), Refusal> {
    let Some(quota) = quota else { return Ok(()) };
    if spawn_blocking(move || quota.take(ENTRY)).await { Ok(()) } else { Err(Refusal::NoSpace) }
}
