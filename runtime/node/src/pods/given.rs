//! The files that every container finds beside those of its image and its volumes: what a kubelet and a container runtime
//! write for it.

use std::fmt::Write as _;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{HostAlias, Pod};

use super::hostname::Hostname;
use super::names::{names, resolv_conf};
use super::spec::PodExt;
use crate::node::ClusterNames;

/// A file that a container finds, unless its image or a mount has something there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GivenFile {
    /// An absolute path whose last part no other of these files has.
    pub(crate) path: &'static str,
    pub(crate) text: String,
}

/// All of them, one a line.
///
/// # Errors
/// If the Pod cannot be called what it wants to be.
pub(crate) fn files(pod: &Pod, ip: IpAddr, cluster: &ClusterNames) -> Result<Vec<GivenFile>, String> {
    Ok(vec![
        GivenFile { path: "/etc/hosts", text: hosts(pod, ip) },
        GivenFile { path: "/etc/hostname", text: format!("{}\n", Hostname::of(pod).own()?) },
        GivenFile { path: "/etc/resolv.conf", text: resolv_conf(&names(pod, cluster)) },
    ])
}

/// The lines that do not depend on the Pod, as a kubelet has them.
const HOSTS: &str = "# Kubernetes-managed hosts file.\n\
                     127.0.0.1\tlocalhost\n\
                     ::1\tlocalhost ip6-localhost ip6-loopback\n\
                     fe00::0\tip6-localnet\n\
                     fe00::0\tip6-mcastprefix\n\
                     fe00::1\tip6-allnodes\n\
                     fe00::2\tip6-allrouters\n";

fn hosts(pod: &Pod, ip: IpAddr) -> String {
    let Hostname { short, full, .. } = Hostname::of(pod);
    let own: Vec<String> = full.into_iter().chain([short]).collect();
    let aliases = pod.spec().and_then(|spec| spec.host_aliases.as_deref()).unwrap_or_default();
    format!("{HOSTS}{ip}\t{}\n{}", own.join("\t"), aliased(aliases))
}

fn aliased(aliases: &[HostAlias]) -> String {
    let mut lines = String::new();
    if !aliases.is_empty() {
        lines.push_str("\n# Entries added by HostAliases.\n");
    }
    for alias in aliases {
        // To write to a String cannot fail.
        let _ = writeln!(lines, "{}\t{}", alias.ip, alias.hostnames.as_deref().unwrap_or_default().join("\t"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn text(path: &str, mut spec: Value) -> String {
        spec["containers"] = json!([]);
        let pod = json!({"metadata": {"namespace": "shop", "name": "web-1"}, "spec": spec});
        let pod = serde_json::from_value(pod).unwrap();
        let files = files(&pod, "10.244.0.2".parse().unwrap(), &ClusterNames::default()).unwrap();
        files.into_iter().find(|file| file.path == path).unwrap().text
    }

    #[test]
    fn the_hosts_file_is_a_kubelets() {
        let own = |spec| text("/etc/hosts", spec).strip_prefix(HOSTS).unwrap().to_owned();
        assert_eq!(own(json!({})), "10.244.0.2\tweb-1\n");
        assert_eq!(
            own(json!({"hostname": "first", "subdomain": "web"})),
            "10.244.0.2\tfirst.web.shop.svc.cluster.local\tfirst\n"
        );
        let aliases =
            json!([{"ip": "192.0.2.7", "hostnames": ["db", "db.example"]}, {"ip": "::7", "hostnames": ["six"]}]);
        assert_eq!(
            own(json!({"hostAliases": aliases})),
            "10.244.0.2\tweb-1\n\n# Entries added by HostAliases.\n192.0.2.7\tdb\tdb.example\n::7\tsix\n"
        );
    }

    #[test]
    fn the_hostname_is_what_the_pod_calls_itself() {
        for (spec, expected) in [
            (json!({}), "web-1\n"),
            (json!({"hostname": "first", "subdomain": "web"}), "first\n"),
            (json!({"subdomain": "web", "setHostnameAsFQDN": true}), "web-1.web.shop.svc.cluster.local\n"),
        ] {
            assert_eq!(text("/etc/hostname", spec.clone()), expected, "{spec}");
        }
    }
}
