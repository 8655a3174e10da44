//! A `carob server` and nodes of its own, each a process.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::kubectl::Kubectl;
use crate::tools;
use crate::wait::eventually;
use crate::watchdog::Watchdog;

/// Nodes of these tests may use the disk to its end: tests are not about what happens to be left of it.
const EVICTION: &str = "memory.available<50Mi,nodefs.available<1%";

/// A running `carob server` without a node. It ends, and its data go, when it is dropped.
pub struct Server {
    folder: PathBuf,
    /// Where it listens, once it has chosen.
    listen: String,
    process: Process,
}

/// A running `carob node`.
pub struct Node {
    folder: PathBuf,
    process: Process,
}

struct Process {
    child: Child,
    watchdog: Option<Watchdog>,
    log: PathBuf,
}

impl Server {
    /// A server with these arguments beside its own, as soon as it says that it is ready.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let folder = folder();
        let mut server =
            Self { process: run(&folder, &server_command("127.0.0.1:0", arguments)), folder, listen: String::new() };
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
        self.process = run(&self.folder, &server_command(&self.listen, arguments));
        self.process.wait_for("ready");
    }

    /// The URL of the API.
    #[must_use]
    pub fn url(&self) -> String {
        self.kubectl().run(&["config", "view", "--output=jsonpath={.clusters[0].cluster.server}"])
    }

    /// kubectl as the administrator.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(data_dir(&self.folder).join("kubeconfig"), self.folder.join("home"))
    }

    /// `carob token` with these arguments: what it prints.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn token(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(tools::carob());
        command.arg("token").args(arguments).arg("--data-dir").arg(data_dir(&self.folder));
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
        let mut node = Node::start(name, &self.invitation(), &[]);
        node.process.wait_for("ready");
        node
    }
}

impl Node {
    /// A new node; it may never be ready.
    #[must_use]
    pub fn start(name: &str, joining: &[String], more: &[&str]) -> Self {
        let folder = folder();
        let process = run(&folder, &node_command(name, joining, more));
        Self { folder, process }
    }

    /// Kills the process as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on its own data.
    pub fn start_again(&mut self, name: &str, joining: &[String]) {
        self.process = run(&self.folder, &node_command(name, joining, &[]));
        self.process.wait_for("ready");
    }

    /// Starts it again on its own data, whether it will do or not.
    pub fn try_again(&mut self, name: &str, joining: &[String]) {
        self.process = run(&self.folder, &node_command(name, joining, &[]));
    }

    /// What it says when it ends by itself.
    ///
    /// # Panics
    /// If it goes on.
    #[must_use]
    pub fn last_words(&mut self) -> String {
        let child = &mut self.process.child;
        eventually("the node ends", || child.try_wait().expect("it can be waited for").is_some());
        self.log()
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.process.log).unwrap_or_default()
    }

    /// Puts a sample into the node's image store.
    ///
    /// # Panics
    /// If it fails.
    pub fn load(&self, sample: &str, name: &str) {
        let mut command = Command::new(tools::carob());
        command.args(["image", "load"]).arg(tools::samples().join(format!("{sample}.wasm")));
        command.args(["--tag", name, "--data-dir"]).arg(data_dir(&self.folder));
        assert!(command.status().expect("carob runs").success(), "{command:?}");
    }

    /// kubectl with the node's own certificate.
    ///
    /// # Panics
    /// If the node has none.
    #[must_use]
    pub fn kubectl(&self, server: &str) -> Kubectl {
        let pki = data_dir(&self.folder).join("node/pki");
        let (authority, pair) = (pki.join("ca.crt"), pki.join("client.pem"));
        let path = self.folder.join("kubeconfig");
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: {server}, \
             certificate-authority: {}}}}}]\nusers: [{{name: c, user: {{client-certificate: {pair}, client-key: {pair}}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: c}}}}]\n",
            authority.display(),
            pair = pair.display(),
        );
        fs::write(&path, config).expect("the folder can be written");
        Kubectl::new(path, self.folder.join("home"))
    }
}

impl Process {
    fn kill(&mut self) {
        self.child.kill().expect("carob runs");
        self.child.wait().expect("carob has ended");
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.release();
        }
    }

    /// Reads until a line that begins so, and goes on reading after it, so that nobody waits for a full pipe.
    fn wait_for(&mut self, word: &str) {
        let mut lines = BufReader::new(self.child.stdout.take().expect("the output is piped")).lines();
        let found = lines.by_ref().map_while(Result::ok).any(|line| line.starts_with(word));
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        assert!(found, "carob ended before it said {word:?}. Its log:\n{log}");
        thread::spawn(move || lines.for_each(drop));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), fs::read_to_string(&self.log).unwrap_or_default());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder() -> PathBuf {
    tempfile::Builder::new().prefix("carob-test-").tempdir().expect("a temporary folder").keep()
}

fn data_dir(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn server_command(listen: &str, more: &[&str]) -> Vec<String> {
    let own = ["server", "--no-node", "--listen", listen];
    own.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

fn node_command(name: &str, joining: &[String], more: &[&str]) -> Vec<String> {
    let own = ["node", "--name", name, "--kubelet-listen", "127.0.0.1:0", "--node-lease-duration", "4s"];
    let own = own.iter().chain(&["--eviction-hard", EVICTION]).chain(more).map(|word| (*word).to_owned());
    own.chain(joining.iter().cloned()).collect()
}

fn run(folder: &Path, arguments: &[String]) -> Process {
    let log = folder.join("carob.log");
    let written = File::options().create(true).append(true).open(&log).expect("the log can be written");
    let mut command = Command::new(tools::carob());
    command.args(arguments).args(["--log-format", "text", "--data-dir"]).arg(data_dir(folder));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(written).spawn().expect("carob runs");
    let watchdog = Some(Watchdog::over(child.id(), folder));
    Process { child, watchdog, log }
}
