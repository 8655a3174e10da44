//! How a Pod finds names: its `dnsPolicy` and `dnsConfig`, as a kubelet reads them.

use std::fmt::Write as _;

use carob_net::{NameServer, Names};
use k8s_openapi::api::core::v1::{Pod, PodDNSConfig};

use super::spec::PodExt;
use crate::node::ClusterNames;

/// What the C library reads of such a file.
const MOST_SERVERS: usize = 3;
/// What a kubelet writes at most.
const MOST_SEARCH: usize = 32;

/// What the Pod's `resolv.conf` says.
pub(crate) fn names(pod: &Pod, cluster: &ClusterNames) -> Names {
    let policy = pod.spec().and_then(|spec| spec.dns_policy.as_deref()).unwrap_or("ClusterFirst");
    let mut names = match policy {
        "None" => Names::default(),
        "Default" => cluster.host.clone(),
        // A Pod never has the host's network here: both policies of the cluster are one.
        _ => cluster_first(&pod.reference().namespace, cluster),
    };
    if let Some(config) = pod.spec().and_then(|spec| spec.dns_config.as_ref()) {
        add(&mut names, config, cluster);
    }
    names.servers.truncate(MOST_SERVERS);
    names.search.truncate(MOST_SEARCH);
    names
}

/// The file itself.
pub(crate) fn resolv_conf(names: &Names) -> String {
    let mut text = String::new();
    // To write to a String cannot fail.
    for server in &names.servers {
        let _ = writeln!(text, "nameserver {}", server.address());
    }
    if !names.search.is_empty() {
        let _ = writeln!(text, "search {}", names.search.join(" "));
    }
    let option = |(name, value): &(String, Option<String>)| match value {
        Some(value) => format!("{name}:{value}"),
        None => name.clone(),
    };
    if !names.options.is_empty() {
        let _ = writeln!(text, "options {}", names.options.iter().map(option).collect::<Vec<_>>().join(" "));
    }
    text
}

fn cluster_first(namespace: &str, cluster: &ClusterNames) -> Names {
    let domain = &cluster.domain;
    let search = [format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
    Names {
        servers: vec![NameServer::Cluster(cluster.server)],
        search: search.into_iter().chain(cluster.host.search.iter().cloned()).collect(),
        options: vec![("ndots".into(), Some("5".into()))],
    }
}

/// What is there already is not added again; an option that is there gets the new value.
fn add(names: &mut Names, config: &PodDNSConfig, cluster: &ClusterNames) {
    let given = config.nameservers.iter().flatten().filter_map(|server| server.parse().ok());
    for address in given {
        if !names.servers.iter().any(|server| server.address() == address) {
            let is_clusters = address == cluster.server;
            names.servers.push(if is_clusters { NameServer::Cluster(address) } else { NameServer::Own(address) });
        }
    }
    for domain in config.searches.iter().flatten() {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        if !domain.is_empty() && !names.search.contains(&domain) {
            names.search.push(domain);
        }
    }
    for option in config.options.iter().flatten() {
        let Some(name) = option.name.clone() else { continue };
        match names.options.iter_mut().find(|(known, _)| *known == name) {
            Some((_, value)) => value.clone_from(&option.value),
            None => names.options.push((name, option.value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(mut spec: Value) -> String {
        spec["containers"] = json!([]);
        let pod = json!({"metadata": {"namespace": "shop", "name": "web-1"}, "spec": spec});
        let cluster = ClusterNames {
            domain: "cluster.local".into(),
            server: "10.96.0.10".parse().unwrap(),
            host: Names {
                servers: vec![NameServer::Host("127.0.0.53".parse().unwrap())],
                search: vec!["corp.example".into()],
                options: vec![("edns0".into(), None)],
            },
        };
        resolv_conf(&names(&serde_json::from_value(pod).unwrap(), &cluster))
    }

    const CLUSTER: &str = "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example";

    #[test]
    fn the_file_is_what_policy_and_config_say() {
        let config = json!({
            "nameservers": ["192.0.2.53", "10.96.0.10", "nonsense"],
            "searches": ["Lab.Example.", "cluster.local"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}],
        });
        let cluster = format!("nameserver 10.96.0.10\n{CLUSTER}\noptions ndots:5\n");
        for (spec, expected) in [
            (json!({}), cluster.clone()),
            (json!({"dnsPolicy": "ClusterFirst"}), cluster.clone()),
            (json!({"dnsPolicy": "ClusterFirstWithHostNet"}), cluster),
            (
                json!({"dnsPolicy": "Default"}),
                "nameserver 127.0.0.53\nsearch corp.example\noptions edns0\n".to_owned(),
            ),
            (
                json!({"dnsConfig": config}),
                format!("nameserver 10.96.0.10\nnameserver 192.0.2.53\n{CLUSTER} lab.example\noptions ndots:2 rotate\n"),
            ),
            (
                json!({"dnsPolicy": "None", "dnsConfig": config}),
                "nameserver 192.0.2.53\nnameserver 10.96.0.10\nsearch lab.example cluster.local\noptions ndots:2 rotate\n"
                    .to_owned(),
            ),
        ] {
            assert_eq!(written(spec.clone()), expected, "{spec}");
        }
    }

    #[test]
    fn only_three_servers_are_asked() {
        let config = json!({"nameservers": ["192.0.2.1", "192.0.2.2", "192.0.2.3"]});
        let text = written(json!({"dnsConfig": config}));
        assert_eq!(text.matches("nameserver").count(), 3, "{text}");
        assert!(text.starts_with("nameserver 10.96.0.10\nnameserver 192.0.2.1\n"), "{text}");
    }
}
