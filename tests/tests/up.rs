//! Starting and ending: who holds the data, which port is taken, what a signal does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use carob_tests::{Cluster, carob};
use rustix::process::{Pid, Signal, kill_process};

fn up(data_dir: &Path, listen: &str) -> Output {
    up_with(data_dir, &["--listen", listen, "--ingress-http-listen", "off", "--ingress-https-listen", "off"])
}

fn up_with(data_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(carob());
    command.arg("up").args(arguments).arg("--data-dir").arg(data_dir);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_second_start_says_who_holds_the_data() {
    let cluster = Cluster::shared();
    let output = up(&cluster.data_dir(), "127.0.0.1:0");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = said(&output);
    assert!(said.contains(&cluster.pid().to_string()), "the holder {} is not named: {said}", cluster.pid());
    assert!(said.contains(cluster.data_dir().to_str().unwrap()), "the folder is not named: {said}");
    assert!(cluster.kubectl().run(&["get", "namespaces"]).contains("kube-system"), "the first one goes on");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = up(folder.path(), &address);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains(&address), "{address} is not named: {}", said(&output));
}

#[test]
fn a_port_of_the_gateway_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = up_with(folder.path(), &["--listen", "127.0.0.1:0", "--ingress-http-listen", &address]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = said(&output);
    assert!(said.contains(&address) && said.contains("--ingress-http-listen off"), "{said}");
}

#[test]
fn the_kubeconfig_is_for_its_owner_only() {
    let mode = std::fs::metadata(Cluster::shared().kubeconfig()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_signal_ends_it_well() {
    let folder = tempfile::tempdir().unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        let mut command = Command::new(carob());
        command.args(["up", "--listen", "127.0.0.1:0", "--ingress-http-listen", "127.0.0.1:0"]);
        command.args(["--ingress-https-listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().starts_with("ready")), "it ended before it was ready");
        kill_process(Pid::from_child(&process), signal).unwrap();
        lines.for_each(drop);
        assert_eq!(process.wait().unwrap().code(), Some(0), "after {signal:?}");
    }
}
