//! The row that kubectl shows for an Ingress.

use crate::Column;
use crate::json::{is_empty, list, text};
use crate::services::load_balancer;
use crate::table::{AGE, NAME, age_cell, name};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::plain(
        "Class",
        "string",
        "The name of the IngressClass resource that should be used for additional configuration",
    ),
    Column::plain("Hosts", "string", "Hosts that incoming requests are matched against before the ingress rule"),
    Column::plain("Address", "string", "Address is a list containing ingress points for the load-balancer"),
    Column::plain("Ports", "string", "Ports of TLS configurations that open"),
    AGE,
];

/// So many hosts are shown.
const SHOWN: usize = 3;

pub(super) fn cells(ingress: &Value, now: Timestamp) -> Vec<Value> {
    let class = text(ingress, "/spec/ingressClassName");
    vec![
        name(ingress),
        if class.is_empty() { "<none>" } else { class }.into(),
        hosts(list(ingress, "/spec/rules")).into(),
        load_balancer(ingress).into(),
        if is_empty(ingress, "/spec/tls") { "80" } else { "80, 443" }.into(),
        age_cell(ingress, now),
    ]
}

/// kubectl counts rules, not hosts, in what it leaves out.
fn hosts(rules: &[Value]) -> String {
    let named = || rules.iter().enumerate().filter(|(_, rule)| !text(rule, "/host").is_empty());
    let shown: Vec<&str> = named().take(SHOWN).map(|(_, rule)| text(rule, "/host")).collect();
    let last = named().nth(SHOWN - 1).map_or(rules.len(), |(index, _)| index + 1);
    match shown.join(",") {
        none if none.is_empty() => "*".to_owned(),
        all if last == rules.len() => all,
        some => format!("{some} + {} more...", rules.len() - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_reads_as_kubectl_shows_it() {
        let ingress = json!({
            "metadata": { "name": "web" },
            "spec": { "ingressClassName": "carob", "rules": [{ "host": "a.example" }], "tls": [{}] },
            "status": { "loadBalancer": { "ingress": [{ "ip": "127.0.0.1" }] } },
        });
        let row = cells(&ingress, Timestamp::UNIX_EPOCH);
        assert_eq!(row[..5], ["web", "carob", "a.example", "127.0.0.1", "80, 443"].map(Value::from));
        let bare = cells(&json!({ "metadata": { "name": "web" } }), Timestamp::UNIX_EPOCH);
        assert_eq!(bare[..5], ["web", "<none>", "*", "", "80"].map(Value::from));
    }

    #[test]
    fn more_than_three_hosts_are_counted() {
        let rules = |hosts: &[&str]| hosts.iter().map(|host| json!({ "host": host })).collect::<Vec<_>>();
        assert_eq!(hosts(&rules(&["a", "b", "c"])), "a,b,c");
        assert_eq!(hosts(&rules(&["a", "b", "c", "d", "e"])), "a,b,c + 2 more...");
        assert_eq!(hosts(&rules(&["", "b"])), "b");
    }
}
