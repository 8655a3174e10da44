//! How much a Pod stores, for those who ask.

use super::usage::{self, Size};
use super::{PodVolumes, Volume};
use crate::pods::{PodExt, PodView};

/// What is stored of a Pod on this node, as it was found at one look.
#[derive(Default)]
pub(crate) struct Stored {
    /// The Pod's own, and those that claims got.
    pub(crate) volumes: Vec<StoredVolume>,
    /// What each container has printed, by name.
    logs: Vec<(String, Size)>,
}

/// A volume with what it holds.
pub(crate) struct StoredVolume {
    /// Its name in the Pod.
    pub(crate) name: String,
    pub(crate) size: Size,
    /// The name of the claim that got it, if it is not the Pod's own.
    pub(crate) claim: Option<String>,
    /// How many bytes it may hold, if that is bounded by its claim.
    pub(crate) capacity: Option<u64>,
    /// Whether it counts against limits of `ephemeral-storage`.
    is_ephemeral: bool,
}

impl Stored {
    /// Walks the Pod's folders; it blocks.
    pub(crate) fn look(view: &PodView) -> Stored {
        let Some(volumes) = view.volumes.upgrade() else { return Stored::default() };
        let log = |name: &str| usage::of(&volumes.context.dirs.logs(&volumes.pod, name));
        Stored {
            volumes: volumes.sizes(),
            logs: view.pod.containers().map(|one| (one.name.clone(), log(&one.name))).collect(),
        }
    }

    /// What a container has printed.
    pub(crate) fn logs(&self, container: &str) -> Size {
        self.logs.iter().find(|(name, _)| name == container).map(|(_, size)| *size).unwrap_or_default()
    }

    /// All that counts against limits of `ephemeral-storage`.
    pub(crate) fn ephemeral(&self) -> Size {
        let volumes = self.volumes.iter().filter(|volume| volume.is_ephemeral).map(|volume| volume.size);
        volumes.chain(self.logs.iter().map(|(_, size)| *size)).fold(Size::default(), |sum, size| Size {
            bytes: sum.bytes + size.bytes,
            entries: sum.entries + size.entries,
        })
    }
}

impl PodVolumes {
    fn sizes(&self) -> Vec<StoredVolume> {
        let mounted = self.known.lock().mounted.clone();
        mounted.into_iter().filter_map(|(name, volume)| self.stored(name, &volume)).collect()
    }

    /// Nobody looks through folders of the host's that nobody has bounded: they may be large.
    fn stored(&self, name: String, volume: &Volume) -> Option<StoredVolume> {
        let folder = volume.place.folder();
        let is_ephemeral = folder.starts_with(self.context.dirs.volumes(&self.pod));
        let capacity = volume.claim.as_ref().and_then(|claim| claim.capacity);
        let is_looked_at = is_ephemeral || capacity.is_some() || self.context.memory.holds(folder);
        let claim = volume.claim.as_ref().map(|claim| claim.name.clone());
        is_looked_at.then(|| StoredVolume { name, size: usage::of(folder), claim, capacity, is_ephemeral })
    }
}
