//! A container's place in its Pod, and what it is there.

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, PodSpec};

/// A container by its place: init containers first, then the main ones, then the ephemeral ones, each in the spec's order.
///
/// A place never changes while the Pod lives: ephemeral containers are only ever added, and [`keep_places`] puts them last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub(crate) usize);

/// What a container is in its Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the next init container starts.
    Init,
    /// An init container that stays. The next one starts once it has started up; it ends after the main containers.
    Sidecar,
    /// What the Pod is there for: these decide how it ends.
    Main,
    /// Added to look into the Pod: it runs once, and the Pod does not wait for it.
    Ephemeral,
}

/// An ephemeral container as any other: whatever it may not have, the API has refused.
pub(super) fn as_container(ephemeral: &EphemeralContainer) -> Container {
    let own = ephemeral.clone();
    Container {
        args: own.args,
        command: own.command,
        env: own.env,
        env_from: own.env_from,
        image: own.image,
        image_pull_policy: own.image_pull_policy,
        name: own.name,
        security_context: own.security_context,
        stdin: own.stdin,
        stdin_once: own.stdin_once,
        termination_message_path: own.termination_message_path,
        termination_message_policy: own.termination_message_policy,
        tty: own.tty,
        volume_devices: own.volume_devices,
        volume_mounts: own.volume_mounts,
        working_dir: own.working_dir,
        ..Container::default()
    }
}

/// Orders the ephemeral containers as they were before, new ones last: a patch may put them anywhere.
pub(crate) fn keep_places(new: &mut PodSpec, old: &PodSpec) {
    let before = old.ephemeral_containers.as_deref().unwrap_or_default();
    if let Some(containers) = &mut new.ephemeral_containers {
        let place = |name: &str| before.iter().position(|held| held.name == name).unwrap_or(usize::MAX);
        containers.sort_by_key(|container| place(&container.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(names: &[&str]) -> PodSpec {
        let named = |name: &&str| EphemeralContainer { name: (*name).to_owned(), ..Default::default() };
        PodSpec { ephemeral_containers: Some(names.iter().map(named).collect()), ..Default::default() }
    }

    #[test]
    fn ephemeral_containers_keep_their_places() {
        for (before, sent, expected) in [
            (vec![], vec!["b", "a"], vec!["b", "a"]),
            (vec!["a", "b"], vec!["c", "b", "a"], vec!["a", "b", "c"]),
            (vec!["b"], vec!["z", "b", "a"], vec!["b", "z", "a"]),
        ] {
            let mut new = spec(&sent);
            keep_places(&mut new, &spec(&before));
            assert_eq!(new, spec(&expected));
        }
    }
}
