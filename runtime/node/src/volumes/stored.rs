//! How much a Pod stores, for those who ask.

use super::usage::{self, Size};
use super::{PodVolumes, Volume};
use crate::pods::{PodExt, PodView};

/// What is stored of a Pod on this node, as it was found at one look.
#[derive(Default)]
pub(crate) struct Stored {
    /// What each volume of the Pod's own holds, by name.
    pub(crate) volumes: Vec<(String, Size)>,
    /// Those that are in memory do not count as storage.
    in_memory: Vec<String>,
    /// What each container has printed, by name.
    logs: Vec<(String, Size)>,
}

impl Stored {
    /// Walks the Pod's folders; it blocks.
    pub(crate) fn look(view: &PodView) -> Stored {
        let Some(volumes) = view.volumes.upgrade() else { return Stored::default() };
        let log = |name: &str| usage::of(&volumes.context.dirs.logs(&volumes.pod, name));
        Stored {
            volumes: volumes.sizes(),
            in_memory: volumes.in_memory(),
            logs: view.pod.containers().map(|one| (one.name.clone(), log(&one.name))).collect(),
        }
    }

    /// What a container has printed.
    pub(crate) fn logs(&self, container: &str) -> Size {
        self.logs.iter().find(|(name, _)| name == container).map(|(_, size)| *size).unwrap_or_default()
    }

    /// All that counts against limits of `ephemeral-storage`.
    pub(crate) fn ephemeral(&self) -> Size {
        let on_disk = self.volumes.iter().filter(|(name, _)| !self.in_memory.contains(name));
        on_disk.chain(&self.logs).fold(Size::default(), |sum, (_, size)| Size {
            bytes: sum.bytes + size.bytes,
            entries: sum.entries + size.entries,
        })
    }
}

impl PodVolumes {
    fn sizes(&self) -> Vec<(String, Size)> {
        let mounted = self.known.lock().mounted.clone();
        let own = mounted.into_iter().filter(|(_, volume)| self.is_on_disk(volume) || self.is_in_memory(volume));
        own.map(|(name, volume)| (name, usage::of(volume.place.folder()))).collect()
    }

    fn in_memory(&self) -> Vec<String> {
        let known = self.known.lock();
        let in_memory = known.mounted.iter().filter(|(_, volume)| self.is_in_memory(volume));
        in_memory.map(|(name, _)| name.clone()).collect()
    }

    fn is_on_disk(&self, volume: &Volume) -> bool {
        volume.place.folder().starts_with(self.context.dirs.volumes(&self.pod))
    }

    fn is_in_memory(&self, volume: &Volume) -> bool {
        self.context.memory.holds(volume.place.folder())
    }
}
