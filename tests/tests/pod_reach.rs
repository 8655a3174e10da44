//! Ways into the Pods' network: from the host to a socket, and by the names of a headless Service.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use carob_tests::{Cluster, Kubectl, eventually, eventually_some};

const TCP_ECHO: &str = include_str!("../../samples/manifests/tcp-echo.yaml");

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The one cluster of this file, with the images that it needs.
fn cluster() -> &'static Cluster {
    let cluster = Cluster::shared();
    for image in ["tcp-echo", "echo-client"] {
        cluster.load(&carob_tests::samples().join(format!("{image}.wasm")), &format!("samples/{image}:1"));
    }
    cluster
}

fn listens(kubectl: &Kubectl, what: &str) {
    eventually(&format!("{what} listens"), || kubectl.attempt(&["logs", what]).stdout.contains("listening"));
}

/// What an echo server sends back before it ends the connection.
fn echo(server: SocketAddr, text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(text)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_server_on_a_socket_answers_at_its_node_port() {
    let cluster = cluster();
    let kubectl = cluster.namespace("echo-from-host");
    kubectl.apply(TCP_ECHO);
    kubectl.run(&["rollout", "status", "deployment/tcp-echo", "--timeout=120s"]);
    listens(&kubectl, "deployment/tcp-echo");
    kubectl.run(&["expose", "deployment", "tcp-echo", "--name", "outside", "--type", "NodePort", "--port", "7"]);
    let port = kubectl.field(&["service", "outside"], "{.spec.ports[0].nodePort}").parse().unwrap();
    let server = SocketAddr::new(cluster.node_port_address().into(), port);

    let answer = eventually_some("an echo", || echo(server, b"is anybody there?").ok().filter(|text| !text.is_empty()));
    assert_eq!(String::from_utf8_lossy(&answer), "is anybody there?");
    let large: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
    assert!(echo(server, &large).unwrap() == large, "all of it comes back, in order");
}

#[test]
fn the_pods_of_a_headless_service_have_names() {
    let kubectl = cluster().namespace("headless");
    let pod = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: echo}}}}\nspec:\n  hostname: {name}\n  \
             subdomain: echo\n  containers:\n    - {{name: echo, image: \"samples/tcp-echo:1\"}}\n"
        )
    };
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: echo}\nspec:\n  clusterIP: None\n  selector: {app: echo}\n  \
                   ports: [{port: 7}]\n";
    kubectl.apply(&format!("{}---\n{}---\n{service}", pod("first"), pod("second")));
    listens(&kubectl, "first");
    listens(&kubectl, "second");
    let asked =
        ["echo:7", "first.echo:7", "second.echo.headless.svc.cluster.local:7"].map(|name| ["tcp", name]).concat();
    let client = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: client}}\nspec:\n  restartPolicy: OnFailure\n  containers:\n    \
         - {{name: client, image: \"samples/echo-client:1\", args: {asked:?}}}\n"
    );
    kubectl.apply(&client);
    eventually("each name leads to a server", || kubectl.field(&["pod", "client"], "{.status.phase}") == "Succeeded");
    let log = kubectl.run(&["logs", "client"]);
    assert_eq!(log.matches("is anybody there?").count(), 3, "{log}");
}
