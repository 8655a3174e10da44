use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;

use crate::discovery::Kind;

/// How far the deletion of one namespace is.
///
/// Nothing can be created in a namespace from the moment its deletion began: a kind of which there was nothing then
/// stays empty, and needs no second look, whatever fails elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Whose deletion: a later namespace of the same name begins anew.
    uid: Option<String>,
    /// Kinds of which something may be left. `None` until it is known what kinds there are.
    pub(crate) pending: Option<Vec<Kind>>,
    rounds: u32,
}

impl Progress {
    /// What is known of this namespace's deletion.
    pub(crate) fn of(namespace: &Namespace, known: Option<Self>) -> Self {
        let uid = namespace.uid();
        known.filter(|known| known.uid == uid).unwrap_or(Self { uid, ..Self::default() })
    }

    /// How many rounds there were before this one: the pause between them grows.
    pub(crate) fn begin_round(&mut self) -> u32 {
        self.rounds = self.rounds.saturating_add(1);
        self.rounds - 1
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_kept_for_the_same_namespace_only() {
        let namespace = |uid: &str| serde_json::from_value(json!({ "metadata": { "name": "n", "uid": uid } })).unwrap();
        let mut progress = Progress::of(&namespace("1"), None);
        assert!(progress.pending.is_none());
        assert_eq!((progress.begin_round(), progress.begin_round()), (0, 1));
        progress.pending = Some(Vec::new());
        let mut same = Progress::of(&namespace("1"), Some(progress));
        assert!(same.pending.is_some());
        assert_eq!(same.begin_round(), 2);
        let mut later = Progress::of(&namespace("2"), Some(same));
        assert!(later.pending.is_none());
        assert_eq!(later.begin_round(), 0);
    }
}
