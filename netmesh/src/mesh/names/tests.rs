use std::collections::HashSet;

use super::*;
use crate::mesh::{Mesh, MeshConfig};
use crate::table::{Change, Host, ObjectName, Service, Slice};

fn object(name: &str) -> ObjectName {
    ObjectName { namespace: "shop".into(), name: name.into() }
}

fn service(name: &str, cluster_ips: &[&str], external: Option<&str>) -> Change {
    Change::Service(Service {
        name: object(name),
        frontends: Vec::new(),
        cluster_ips: cluster_ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        external_name: external.map(str::to_owned),
    })
}

fn slice(name: &str, owner: &str, hosts: &[(&str, Option<&str>)]) -> Change {
    let host = |(ip, hostname): &(&str, Option<&str>)| Host {
        ip: ip.parse().unwrap(),
        hostname: hostname.map(|hostname| hostname.into()),
    };
    let hosts = hosts.iter().map(host).collect();
    Change::Slice(Slice { name: object(name), owner: Some(object(owner)), hosts, listed: HashSet::new() })
}

fn asker() -> Workload {
    Workload {
        namespace: "shop".into(),
        name: "asker".into(),
        addresses: vec!["10.244.0.2".parse().unwrap()],
        hosts: vec![
            ("10.244.0.2".parse().unwrap(), vec!["asker".into()]),
            ("192.0.2.7".parse().unwrap(), vec!["db.example".into(), "localhost".into(), "localhost.evil".into()]),
        ],
    }
}

fn mesh() -> Mesh {
    let mesh = Mesh::new(MeshConfig::default());
    for change in [
        service("web", &["10.96.0.9"], None),
        service("db", &[], None),
        service("elsewhere", &[], Some("web.shop.svc.cluster.local")),
        service("round", &[], Some("round.shop.svc.cluster.local")),
        service("empty", &[], None),
        slice("db-1", "db", &[("10.244.0.5", Some("first")), ("10.244.0.6", None)]),
        slice("db-2", "db", &[("10.244.0.7", Some("third"))]),
        slice("web-1", "web", &[("10.244.0.8", Some("hidden"))]),
    ] {
        mesh.shared().directory.apply(&change);
    }
    mesh
}

async fn answer(mesh: &Mesh, name: &str) -> Vec<String> {
    match mesh.shared().resolve(&asker(), name).await {
        Ok(addresses) => addresses.iter().map(IpAddr::to_string).collect(),
        Err(error) => vec![format!("{error:?}")],
    }
}

#[tokio::test]
async fn names_of_the_cluster_are_known_by_every_way_to_say_them() {
    let mesh = mesh();
    let web = &["10.96.0.9"][..];
    let db = &["10.244.0.5", "10.244.0.6", "10.244.0.7"][..];
    let nobody = &["NameUnresolvable"][..];
    for (name, expected) in [
        ("web", web),
        ("WEB", web),
        ("web.shop", web),
        ("web.shop.svc", web),
        ("web.shop.svc.cluster.local", web),
        ("web.shop.svc.cluster.local.", web),
        ("web.other.svc.cluster.local", nobody),
        ("elsewhere", web),
        ("round", nobody),
        ("db", db),
        ("db.shop", db),
        ("first.db", &["10.244.0.5"]),
        ("third.db.shop.svc.cluster.local", &["10.244.0.7"]),
        ("second.db.shop.svc.cluster.local", nobody),
        ("hidden.web.shop.svc.cluster.local", nobody),
        ("empty.shop.svc.cluster.local", nobody),
        ("10-244-0-5.shop.pod", &["10.244.0.5"]),
        ("nonsense.shop.pod.cluster.local", nobody),
        ("cluster.local", nobody),
        ("svc.cluster.local.", nobody),
    ] {
        assert_eq!(answer(&mesh, name).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_workload_knows_itself_and_its_hosts_before_anything_else() {
    let mesh = mesh();
    for (name, expected) in [
        ("asker", &["10.244.0.2"][..]),
        ("db.example", &["192.0.2.7"]),
        ("DB.Example.", &["192.0.2.7"]),
        ("localhost", &["127.0.0.1", "::1"]),
        ("any.localhost.", &["127.0.0.1", "::1"]),
        ("192.0.2.1", &["192.0.2.1"]),
        ("fd00::1", &["fd00::1"]),
        ("[fd00::1]", &["fd00::1"]),
        ("no/name.", &["NameUnresolvable"]),
        ("", &["NameUnresolvable"]),
        (&"x".repeat(64), &["NameUnresolvable"]),
    ] {
        assert_eq!(answer(&mesh, name).await, expected, "{name}");
    }
}

#[tokio::test]
async fn names_go_with_what_they_named() {
    let mesh = mesh();
    let directory = &mesh.shared().directory;
    directory.apply(&slice("db-1", "db", &[("10.244.0.9", Some("first"))]));
    assert_eq!(answer(&mesh, "first.db").await, ["10.244.0.9"]);
    directory.apply(&Change::SliceGone(object("db-1")));
    directory.apply(&Change::SliceGone(object("db-2")));
    assert_eq!(answer(&mesh, "db.shop.svc.cluster.local").await, ["NameUnresolvable"]);
    directory.apply(&Change::ServiceGone(object("web")));
    assert_eq!(answer(&mesh, "web.shop.svc.cluster.local").await, ["NameUnresolvable"]);
}

#[test]
fn a_name_is_searched_in_the_cluster_first_unless_it_has_many_dots() {
    let searched = ["svc.cluster.local", "cluster.local"];
    for (name, first, count) in [
        ("web", "web.shop.svc.cluster.local", 4),
        ("a.b.c.d.e", "a.b.c.d.e.shop.svc.cluster.local", 4),
        ("a.b.c.d.e.f", "a.b.c.d.e.f", 4),
        ("example.com.", "example.com", 1),
    ] {
        let candidates = search::candidates(name, "shop");
        assert_eq!((candidates[0].as_str(), candidates.len()), (first, count), "{name}");
        if count > 1 {
            for domain in searched {
                assert!(candidates.contains(&format!("{name}.{domain}")), "{name}");
            }
        }
    }
}
