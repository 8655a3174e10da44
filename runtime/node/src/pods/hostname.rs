//! What a Pod is called from within.

use k8s_openapi::api::core::v1::Pod;

use super::spec::PodExt;

const CLUSTER_DOMAIN: &str = "cluster.local";
/// What Linux takes as a host name.
const MOST: usize = 64;

/// The names of a Pod, as a kubelet makes them up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hostname {
    /// The host name alone.
    pub(crate) short: String,
    /// With the domain that the Pod's `subdomain` gives it.
    pub(crate) full: Option<String>,
    /// The Pod wants to be called by its full name.
    as_full: bool,
}

impl Hostname {
    pub(crate) fn of(pod: &Pod) -> Hostname {
        let spec = pod.spec();
        let given = |name: Option<&String>| name.filter(|name| !name.is_empty()).cloned();
        if let Some(short) = given(spec.and_then(|spec| spec.hostname_override.as_ref())) {
            return Hostname { short, full: None, as_full: false };
        }
        let own = given(spec.and_then(|spec| spec.hostname.as_ref()));
        let short = label(&own.unwrap_or_else(|| pod.reference().name));
        let subdomain = given(spec.and_then(|spec| spec.subdomain.as_ref()));
        let namespace = pod.reference().namespace;
        let full = subdomain.map(|subdomain| format!("{short}.{subdomain}.{namespace}.svc.{CLUSTER_DOMAIN}"));
        Hostname { short, full, as_full: spec.and_then(|spec| spec.set_hostname_as_fqdn) == Some(true) }
    }

    /// What it calls itself.
    ///
    /// # Errors
    /// If that is longer than a host name can be.
    pub(crate) fn own(&self) -> Result<&str, String> {
        let name = self.full.as_ref().filter(|_| self.as_full).unwrap_or(&self.short);
        if name.len() <= MOST {
            return Ok(name);
        }
        Err(format!(
            "Failed to construct FQDN from pod hostname and cluster domain, FQDN {name} is too long ({MOST} characters is \
             the max, {} characters requested)",
            name.len()
        ))
    }
}

/// A Pod's name as a host name: at most 63 characters.
fn label(name: &str) -> String {
    let cut: String = name.chars().take(63).collect();
    cut.trim_end_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn own(name: &str, mut spec: Value) -> Result<String, String> {
        spec["containers"] = json!([]);
        let pod = json!({"metadata": {"namespace": "shop", "name": name}, "spec": spec});
        Hostname::of(&serde_json::from_value(pod).unwrap()).own().map(str::to_owned)
    }

    #[test]
    fn a_pod_calls_itself_by_its_name_unless_it_is_told_otherwise() {
        let long = format!("{}-{}", "a".repeat(62), "b".repeat(9));
        for (name, spec, expected) in [
            ("web-1", json!({}), "web-1"),
            (&long, json!({}), &"a".repeat(62)),
            ("web-1", json!({"hostname": "first"}), "first"),
            ("web-1", json!({"hostname": "first", "subdomain": "web"}), "first"),
            ("web-1", json!({"subdomain": "web", "setHostnameAsFQDN": true}), "web-1.web.shop.svc.cluster.local"),
            ("web-1", json!({"setHostnameAsFQDN": true}), "web-1"),
            ("web-1", json!({"hostnameOverride": "box.example", "subdomain": "web"}), "box.example"),
        ] {
            assert_eq!(own(name, spec.clone()).as_deref(), Ok(expected), "{spec}");
        }
        let too_long = json!({"subdomain": "s".repeat(60), "setHostnameAsFQDN": true});
        assert!(own("web-1", too_long).unwrap_err().contains("64 characters is the max, 89 characters requested"));
    }
}
