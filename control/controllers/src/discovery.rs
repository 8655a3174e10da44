//! What kinds of objects there are.

use kube::Client;
use kube::core::ApiResource;
use kube::discovery::{Discovery, Scope};

/// Kinds that come and go by themselves: ownership of them means nothing.
const EPHEMERAL: [(&str, &str); 2] = [("", "events"), ("events.k8s.io", "events")];

/// A kind that can be listed and deleted.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) resource: ApiResource,
    pub(crate) is_namespaced: bool,
    pub(crate) can_watch: bool,
}

impl Kind {
    /// Whether its objects take part in ownership.
    pub(crate) fn is_lasting(&self) -> bool {
        !EPHEMERAL.contains(&(self.resource.group.as_str(), self.resource.plural.as_str()))
    }
}

/// All kinds that can be deleted, in each group's preferred version.
///
/// All groups are told at once: group by group it is dozens of requests, and on a bad line one of them always fails.
pub(crate) async fn deletable(client: &Client) -> kube::Result<Vec<Kind>> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let all = discovery.groups().flat_map(|group| group.recommended_resources());
    Ok(all
        .filter(|(_, able)| able.supports_operation("delete") && able.supports_operation("list"))
        .map(|(resource, able)| Kind {
            is_namespaced: matches!(able.scope, Scope::Namespaced),
            can_watch: able.supports_operation("watch"),
            resource,
        })
        .collect())
}
