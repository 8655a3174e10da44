use crate::Resource;
use crate::certificates::CERTIFICATE_SIGNING_REQUESTS;
use crate::configmaps::CONFIG_MAPS;
use crate::deployments::DEPLOYMENTS;
use crate::endpoints::ENDPOINTS;
use crate::endpointslices::ENDPOINT_SLICES;
use crate::events::{CORE_EVENTS, EVENTS};
use crate::ingresses::{INGRESS_CLASSES, INGRESSES};
use crate::leases::LEASES;
use crate::namespaces::NAMESPACES;
use crate::networkpolicies::NETWORK_POLICIES;
use crate::nodes::NODES;
use crate::pods::PODS;
use crate::replicasets::REPLICA_SETS;
use crate::replicationcontrollers::REPLICATION_CONTROLLERS;
use crate::reviews::{SELF_SUBJECT_REVIEWS, TOKEN_REVIEWS};
use crate::secrets::SECRETS;
use crate::serviceaccounts::SERVICE_ACCOUNTS;
use crate::services::SERVICES;
use crate::volumes::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES};

static ALL: &[Resource] = &[
    CONFIG_MAPS,
    ENDPOINTS,
    CORE_EVENTS,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    REPLICATION_CONTROLLERS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    DEPLOYMENTS,
    REPLICA_SETS,
    SELF_SUBJECT_REVIEWS,
    TOKEN_REVIEWS,
    CERTIFICATE_SIGNING_REQUESTS,
    LEASES,
    ENDPOINT_SLICES,
    EVENTS,
    INGRESS_CLASSES,
    INGRESSES,
    NETWORK_POLICIES,
    STORAGE_CLASSES,
];

/// Every built-in resource, in the order in which discovery lists them.
pub fn all() -> &'static [Resource] {
    ALL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Subresource, table};
    use serde_json::json;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_within_a_group() {
        let mut seen = HashSet::new();
        for resource in all() {
            assert!(seen.insert((resource.group, resource.plural)), "{}", resource.plural);
            assert!(!resource.kind.is_empty() && !resource.singular.is_empty() && !resource.storage.is_empty());
        }
    }

    #[test]
    fn every_row_has_a_cell_for_each_column() {
        let object = json!({ "metadata": { "name": "x" } });
        for resource in all() {
            let table =
                table::table(resource, std::slice::from_ref(&object), jiff::Timestamp::UNIX_EPOCH, Default::default());
            let columns = table["columnDefinitions"].as_array().unwrap().len();
            assert_eq!(table["rows"][0]["cells"].as_array().unwrap().len(), columns, "{}", resource.plural);
            assert_eq!(table["rows"][0]["object"]["metadata"]["name"], "x");
        }
    }

    #[test]
    fn what_has_a_scale_says_where_its_numbers_stand() {
        let scaled = all().iter().filter(|r| r.subresources.iter().any(|s| matches!(s, Subresource::Scale { .. })));
        let names: Vec<_> = scaled.map(|resource| resource.plural).collect();
        assert_eq!(names, ["replicationcontrollers", "deployments", "replicasets"]);
    }
}
