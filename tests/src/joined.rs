//! A `carob server` and nodes of its own, each a process: side by side on the loopback, or each on a machine of a network.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::folder;
use crate::kubectl::Kubectl;
use crate::network::Machine;
use crate::process::Process;
use crate::tools;
use crate::wait::eventually;

/// Nodes of these tests may use the disk to its end: tests are not about what happens to be left of it.
const EVICTION: &str = "memory.available<50Mi,nodefs.available<1%";

/// A running `carob server` without a node. It ends, and its data go, when it is dropped.
pub struct Server {
    process: Process,
    /// Where it listens, once it has chosen.
    listen: String,
    place: Place,
}

/// A running `carob node`.
pub struct Node {
    process: Process,
    place: Place,
}

/// Where a process runs and what it keeps. The folder goes with it, and so after the process that it was declared after.
struct Place {
    /// None is the test's own machine, by its loopback.
    machine: Option<Machine>,
    folder: PathBuf,
}

impl Server {
    /// A server with these arguments beside its own, as soon as it says that it is ready.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_in(Place::new(None), arguments)
    }

    /// The same on a machine.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_on(machine: &Machine, arguments: &[&str]) -> Self {
        Self::start_in(Place::new(Some(machine)), arguments)
    }

    fn start_in(place: Place, arguments: &[&str]) -> Self {
        let listen = format!("{}:0", place.address());
        let mut server = Self { process: run_server(&place, &listen, arguments), place, listen };
        server.process.wait_for("ready");
        server.listen = server.url().trim_start_matches("https://").to_owned();
        server
    }

    /// Kills the process as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, where it was, on the same data.
    pub fn start_again(&mut self, arguments: &[&str]) {
        self.process.kill();
        self.process = run_server(&self.place, &self.listen, arguments);
        self.process.wait_for("ready");
    }

    /// The URL of the API.
    #[must_use]
    pub fn url(&self) -> String {
        self.kubectl().run(&["config", "view", "--output=jsonpath={.clusters[0].cluster.server}"])
    }

    /// kubectl as the administrator, beside the server.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        self.place.kubectl(self.place.data_dir().join("kubeconfig"))
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where it keeps everything.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.place.folder
    }

    /// `carob token` with these arguments: what it prints.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn token(&self, arguments: &[&str]) -> String {
        let mut command = self.place.command(&tools::carob());
        command.arg("token").args(arguments).arg("--data-dir").arg(self.place.data_dir());
        let output = command.output().expect("carob runs");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// How a machine joins: the arguments of `carob node` that the server prints.
    #[must_use]
    pub fn invitation(&self) -> Vec<String> {
        let line = self.token(&["create", "--print-join-command"]);
        line.split(' ').skip(2).map(str::to_owned).collect()
    }

    /// A new node with this name, which joins by an invitation, and whose heartbeats come every second.
    #[must_use]
    pub fn join(&self, name: &str) -> Node {
        Node::start(name, &self.invitation(), &[]).ready()
    }

    /// The same on a machine.
    #[must_use]
    pub fn join_on(&self, machine: &Machine, name: &str) -> Node {
        Node::start_on(machine, name, &self.invitation(), &[]).ready()
    }
}

impl Node {
    /// A new node; it may never be ready.
    #[must_use]
    pub fn start(name: &str, joining: &[String], more: &[&str]) -> Self {
        Self::start_in(Place::new(None), name, joining, more)
    }

    /// The same on a machine.
    #[must_use]
    pub fn start_on(machine: &Machine, name: &str, joining: &[String], more: &[&str]) -> Self {
        Self::start_in(Place::new(Some(machine)), name, joining, more)
    }

    fn start_in(place: Place, name: &str, joining: &[String], more: &[&str]) -> Self {
        let process = run_node(&place, name, joining, more);
        Self { place, process }
    }

    fn ready(mut self) -> Self {
        self.process.wait_for("ready");
        self
    }

    /// Kills the process as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on its own data.
    pub fn start_again(&mut self, name: &str, joining: &[String]) {
        self.process.kill();
        self.process = run_node(&self.place, name, joining, &[]);
        self.process.wait_for("ready");
    }

    /// Starts it again on its own data, whether it will do or not.
    pub fn try_again(&mut self, name: &str, joining: &[String]) {
        self.process.kill();
        self.process = run_node(&self.place, name, joining, &[]);
    }

    /// What it says when it ends by itself.
    ///
    /// # Panics
    /// If it goes on.
    #[must_use]
    pub fn last_words(&mut self) -> String {
        eventually("the node ends", || self.process.has_ended());
        self.log()
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Puts a sample into the node's image store.
    ///
    /// # Panics
    /// If it fails.
    pub fn load(&self, sample: &str, name: &str) {
        let mut command = Command::new(tools::carob());
        command.args(["image", "load"]).arg(tools::samples().join(format!("{sample}.wasm")));
        command.args(["--tag", name, "--data-dir"]).arg(self.place.data_dir());
        assert!(command.status().expect("carob runs").success(), "{command:?}");
    }

    /// kubectl with the node's own certificate.
    ///
    /// # Panics
    /// If the node has none.
    #[must_use]
    pub fn kubectl(&self, server: &str) -> Kubectl {
        let pki = self.place.data_dir().join("node/pki");
        let (authority, pair) = (pki.join("ca.crt"), pki.join("client.pem"));
        let path = self.place.folder.join("kubeconfig");
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: {server}, \
             certificate-authority: {}}}}}]\nusers: [{{name: c, user: {{client-certificate: {pair}, client-key: {pair}}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: c}}}}]\n",
            authority.display(),
            pair = pair.display(),
        );
        fs::write(&path, config).expect("the folder can be written");
        self.place.kubectl(path)
    }
}

impl Place {
    fn new(machine: Option<&Machine>) -> Self {
        Self { machine: machine.cloned(), folder: folder::create() }
    }

    fn address(&self) -> Ipv4Addr {
        self.machine.as_ref().map_or(Ipv4Addr::LOCALHOST, Machine::address)
    }

    fn command(&self, program: &Path) -> Command {
        self.machine.as_ref().map_or_else(|| Command::new(program), |machine| machine.command(program))
    }

    fn kubectl(&self, kubeconfig: PathBuf) -> Kubectl {
        Kubectl::new(kubeconfig, self.folder.join("home")).on(self.machine.clone())
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A watchdog may be at it as well.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn run_server(place: &Place, listen: &str, more: &[&str]) -> Process {
    let mut command = place.command(&tools::carob());
    command.args(["server", "--no-node", "--listen", listen]).args(more);
    Process::run(command, &place.folder)
}

fn run_node(place: &Place, name: &str, joining: &[String], more: &[&str]) -> Process {
    let mut command = place.command(&tools::carob());
    let address = place.address().to_string();
    command.args([
        "node",
        "--name",
        name,
        "--kubelet-listen",
        &format!("{address}:0"),
        "--node-port-address",
        &address,
        "--mesh-port",
        "0",
    ]);
    if place.machine.is_some() {
        command.args(["--dns-listen", &format!("{address}:53")]);
    }
    command.args(["--node-lease-duration", "4s", "--eviction-hard", EVICTION]).args(more).args(joining);
    Process::run(command, &place.folder)
}
