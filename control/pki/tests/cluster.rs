//! An authority survives restarts, and what it signs says what it was asked to say.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use carob_pki::{ClusterPki, Error, Names};
use x509_parser::prelude::{FromDer, X509Certificate};

fn names() -> Names {
    Names { dns: vec!["localhost".into()], ips: vec![IpAddr::from([127, 0, 0, 1])] }
}

fn with_parsed(pem: &str, check: impl FnOnce(&X509Certificate<'_>)) {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    check(&X509Certificate::from_der(&pem.contents).unwrap().1);
}

#[test]
fn the_authority_is_the_same_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = ClusterPki::load_or_create(folder.path(), &names(), SystemTime::now()).unwrap();
    let second = ClusterPki::load_or_create(folder.path(), &names(), SystemTime::now()).unwrap();
    assert_eq!(first.authority.certificate(), second.authority.certificate());
    with_parsed(second.authority.certificate(), |authority| {
        with_parsed(&first.admin.certificate, |admin| {
            admin.verify_signature(Some(authority.public_key())).unwrap();
        });
    });
}

#[test]
fn keys_are_private_to_their_owner() {
    let folder = tempfile::tempdir().unwrap();
    ClusterPki::load_or_create(folder.path(), &names(), SystemTime::now()).unwrap();
    let mode = std::fs::metadata(folder.path().join("ca.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn certificates_carry_user_group_and_names() {
    let folder = tempfile::tempdir().unwrap();
    let pki = ClusterPki::load_or_create(folder.path(), &names(), SystemTime::now()).unwrap();
    with_parsed(&pki.admin.certificate, |admin| {
        let subject = admin.subject();
        assert_eq!(subject.iter_common_name().next().unwrap().as_str().unwrap(), "kubernetes-admin");
        assert_eq!(subject.iter_organization().next().unwrap().as_str().unwrap(), "system:masters");
    });
    with_parsed(&pki.apiserver.certificate, |server| {
        let names = server.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 2);
    });
}

#[test]
fn a_half_written_authority_is_made_again_and_a_damaged_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.key"), "left by a crash before the certificate was written").unwrap();
    ClusterPki::load_or_create(folder.path(), &names(), SystemTime::now()).unwrap();

    std::fs::write(folder.path().join("ca.key"), "damaged").unwrap();
    let refused = ClusterPki::load_or_create(folder.path(), &names(), SystemTime::now());
    assert!(matches!(refused, Err(Error::Unusable { .. })));
}

#[test]
fn a_node_is_client_and_server_by_its_name_and_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let pki = ClusterPki::load_or_create(folder.path(), &names(), SystemTime::now()).unwrap();
    let life = std::time::Duration::from_secs(60);
    let pair = pki.authority.node("n1", &names(), SystemTime::now(), life).unwrap();
    with_parsed(&pair.certificate, |node| {
        let subject = node.subject();
        assert_eq!(subject.iter_common_name().next().unwrap().as_str().unwrap(), "system:node:n1");
        assert_eq!(subject.iter_organization().next().unwrap().as_str().unwrap(), "system:nodes");
        assert_eq!(node.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 2);
        let usages = node.extended_key_usage().unwrap().unwrap().value;
        assert!(usages.client_auth && usages.server_auth);
    });
}
