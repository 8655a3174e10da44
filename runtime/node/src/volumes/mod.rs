//! The volumes of Pods: made before their containers start, kept up to date while they run, removed with them.
//!
//! ```text
//! pods/<namespace>_<name>_<uid>/.volumes/<volume>                emptyDir, configMap, secret, downwardAPI, projected
//! pods/<namespace>_<name>_<uid>/.pinned/<container>/<n>/<file>   single files of volumes that change
//! pods/<namespace>_<name>_<uid>/.given/<container>/<file>        /etc/hosts and its like, the termination message
//! /dev/shm/carob-<node>/<uid>/<volume>                           emptyDir of medium Memory
//! ```
//!
//! One file for each kind says what the volume is; `payload.rs` is what files there should be, `atomic.rs` how they get
//! there all at once, `mounts.rs` what a container sees of them, `given.rs` which files it is given beside them, `root.rs` what
//! it sees at `/`, `quota.rs` how much may be stored. `hostPath` and claims lead to folders that are not the Pod's and stay.
//!
//! What differs from a kubelet:
//! - there is no bind mount: a guest is given handles of folders. A mounted single file is a name in a folder's handle, so
//!   that a file which the host replaces by a rename is seen anew (a bind mount would show the old one); of volumes that
//!   change, a mounted single file is a copy, and stays what it was, as in Kubernetes;
//! - all files are the node's user's: `fsGroup`, `runAsUser` and `mountPropagation` mean nothing to a guest of WASI;
//! - a changed ConfigMap or Secret is seen at once, not at the next sync.

mod atomic;
mod capacity;
mod charge;
mod claim;
mod downward_api;
mod empty_dir;
mod error;
mod given;
mod host_path;
mod keep;
mod keyed;
mod look;
mod memory;
mod mounts;
mod objects;
mod payload;
mod projected;
mod quota;
mod root;
mod stored;
mod sub_path;
mod token;
mod usage;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use carob_engine::{Folder, MemoryGroup, Mount, Quota};
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use parking_lot::Mutex;
use tokio::sync::watch;

pub(crate) use capacity::Capacities;
pub(crate) use charge::NodeMemory;
pub(crate) use error::VolumeError;
pub(crate) use given::message;
pub(crate) use memory::MemoryDirs;
pub(crate) use objects::Objects;
pub(crate) use root::{Root, Roots};
pub(crate) use stored::{Stored, StoredVolume};
pub(crate) use usage::Size;

use crate::images::Image;
use crate::logs::PodRef;
use crate::pods::{Context, GivenFile, PodExt};
use charge::PodMemory;
use given::Giver;
use mounts::Mounter;
use quota::Bound;
use token::Token;

/// Permissions of files whose volume says nothing of them: it always does, since the API fills it in.
const DEFAULT_MODE: u32 = 0o644;

/// Where a volume is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Folder(PathBuf),
    File { dir: PathBuf, name: String },
}

impl Place {
    fn folder(&self) -> &PathBuf {
        match self {
            Place::Folder(folder) => folder,
            Place::File { dir, .. } => dir,
        }
    }
}

/// A volume that containers can mount.
#[derive(Clone)]
struct Volume {
    place: Place,
    folder: Folder,
    read_only: bool,
    /// Its files change while the Pod runs.
    live: bool,
    /// Others than the node and its guests make files there.
    foreign: bool,
    quota: Option<Arc<dyn Quota>>,
    claim: Option<Claimed>,
}

/// What a volume has been claimed by.
#[derive(Clone)]
struct Claimed {
    name: String,
    /// How many bytes the claim got, if the volume holds no more.
    capacity: Option<u64>,
}

impl Volume {
    fn at(place: Place) -> Volume {
        let folder = Folder::at(place.folder());
        Volume { folder, place, read_only: false, live: false, foreign: false, quota: None, claim: None }
    }
}

/// What files are made from, beside objects of the API.
struct Inputs<'a> {
    pod: &'a Pod,
    /// What the node can give of a resource.
    allocatable: &'a (dyn Fn(&str) -> Option<Quantity> + Sync),
}

/// The volumes of one Pod.
pub(crate) struct PodVolumes {
    context: Arc<Context>,
    pod: PodRef,
    known: Mutex<Known>,
    /// What all that the Pod stores may be, if its containers have limits.
    bound: Option<Arc<Bound>>,
    /// Told why the Pod must go, once it has stored too much.
    exceeded: watch::Sender<Option<String>>,
}

#[derive(Default)]
struct Known {
    mounted: BTreeMap<String, Volume>,
    /// What was written last to a volume of files.
    written: HashMap<String, [u8; 32]>,
    /// By volume, and the place of the source in it.
    tokens: HashMap<(String, usize), Token>,
    /// The bounds of single volumes.
    bounds: Vec<Arc<Bound>>,
    /// What is charged for all that are in memory, if there are any.
    memory: Option<Arc<PodMemory>>,
    /// Watches that are kept while the Pod is.
    watched: Vec<Arc<dyn std::any::Any + Send + Sync>>,
}

/// A volume that could not be set up.
pub(crate) struct Failed {
    pub(crate) volume: String,
    pub(crate) error: VolumeError,
}

impl PodVolumes {
    pub(crate) fn new(context: Arc<Context>, pod: &Pod) -> PodVolumes {
        let exceeded = watch::Sender::new(None);
        let bound = empty_dir::pod_bound(pod, &exceeded);
        PodVolumes { context, pod: pod.reference(), known: Mutex::default(), bound, exceeded }
    }

    /// What a container's guest sees, and what must be kept while it runs.
    pub(crate) async fn mounts(
        self: &Arc<Self>,
        container: &Container,
        image: &Image,
        env: &[(String, String)],
        given: Vec<GivenFile>,
    ) -> Result<(Vec<Mount>, Arc<Root>), VolumeError> {
        let (own, container, image, env) = (self.clone(), container.clone(), image.clone(), env.to_vec());
        let made = tokio::task::spawn_blocking(move || own.make_mounts(&container, &image, &env, &given)).await;
        made.map_err(|error| VolumeError::Unsupported(error.to_string()))?
    }

    fn make_mounts(
        &self,
        container: &Container,
        image: &Image,
        env: &[(String, String)],
        files: &[GivenFile],
    ) -> Result<(Vec<Mount>, Arc<Root>), VolumeError> {
        let (dirs, roots) = (&self.context.dirs, &self.context.roots);
        let of_image = |source| VolumeError::Disk { path: format!("the files of image {}", image.name).into(), source };
        let volumes = self.known.lock().mounted.clone();
        let pinned = dirs.pinned(&self.pod, &container.name);
        let mounted = Mounter { container, volumes: &volumes, env, pinned }.mounts()?;
        let dir = dirs.given(&self.pod, &container.name);
        let carried = roots.carried(image).map_err(of_image)?;
        let given = Giver { container, files, dir, bound: self.bound.clone() }.mounts(carried.as_deref())?;
        let (points, mut mounts): (BTreeSet<_>, Vec<_>) = mounted.into_iter().chain(given).unzip();
        let root = roots.get(image, &points).map_err(of_image)?;
        if !mounts.iter().any(|mount| mount.guest_path() == "/") {
            mounts.push(Mount::folder(root.folder.clone(), "/").read_only(true));
        }
        Ok((mounts, root))
    }

    /// What its containers share with the volumes that are in memory, if there are any. They are there before containers are.
    pub(crate) fn memory_group(&self) -> Option<MemoryGroup> {
        self.known.lock().memory.as_ref().map(|memory| memory.group().clone())
    }

    /// What the Pod may use has changed.
    pub(crate) fn limit_memory(&self, pod: &Pod) {
        if let Some(memory) = &self.known.lock().memory {
            memory.set_limit(pod);
        }
    }

    /// What volumes in memory hold, as of the last look.
    pub(crate) fn memory(&self) -> u64 {
        self.memory_group().map_or(0, |group| group.beside())
    }

    /// Removes all that is the Pod's own in its volumes.
    pub(crate) async fn remove(self: Arc<Self>) {
        let name = self.pod.name.clone();
        let removed = tokio::task::spawn_blocking(move || {
            let (dirs, memory) = (&self.context.dirs, &self.context.memory);
            dirs.remove_volumes(&self.pod).and(memory.remove(&self.pod.uid))
        });
        if let Ok(Err(error)) = removed.await {
            tracing::warn!(pod = name, %error, "the volumes of a Pod that has ended could not be removed");
        }
    }

    /// Ends once the Pod has stored more than it may, with why it must go.
    pub(crate) fn exceeded(&self) -> impl Future<Output = String> + Send + use<> {
        let mut exceeded = self.exceeded.subscribe();
        async move {
            match exceeded.wait_for(Option::is_some).await.map(|message| message.clone()) {
                Ok(Some(message)) => message,
                _ => std::future::pending().await,
            }
        }
    }
}
