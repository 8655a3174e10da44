//! Why a node ends a Pod of its own accord.

use std::time::Duration;

use super::events::Kind;

/// What an evicted Pod has to end in, as the kubelet gives it.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Why a node ends a Pod that nobody has deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doom {
    /// It was there for longer than its `activeDeadlineSeconds`.
    DeadlineExceeded,
    /// It stored more than it may, or the node runs short of something; how.
    Evicted(String),
    /// The node ran short of something when it came, and never took it.
    Refused(String),
}

impl Doom {
    /// How an Event tells it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Doom::DeadlineExceeded => Kind::Normal,
            Doom::Evicted(_) | Doom::Refused(_) => Kind::Warning,
        }
    }

    /// How long its containers may go on at most, whatever the Pod says.
    pub(crate) fn most_grace(&self) -> Option<Duration> {
        match self {
            Doom::DeadlineExceeded => None,
            Doom::Evicted(_) | Doom::Refused(_) => Some(AT_ONCE),
        }
    }

    /// What stands in the Pod's status as `reason` and `message`.
    pub(crate) fn words(&self) -> (&'static str, &str) {
        match self {
            Doom::DeadlineExceeded => {
                ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            }
            Doom::Evicted(message) | Doom::Refused(message) => ("Evicted", message),
        }
    }
}
