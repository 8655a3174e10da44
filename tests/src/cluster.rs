//! A `carob up` of one's own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crate::folder;
use crate::kubectl::Kubectl;
use crate::said::Said;
use crate::tools;
use crate::wait::PATIENCE;
use crate::watchdog::Watchdog;

/// The samples, and the names under which each cluster has them.
const IMAGES: [(&str, &str); 5] = [
    ("hello-http", "samples/hello-http:1"),
    ("hello-http-p3", "samples/hello-http-p3:1"),
    ("counter", "samples/counter:1"),
    ("misbehave", "samples/misbehave:1"),
    ("misbehave-p3", "samples/misbehave-p3:1"),
];

/// A running cluster. It ends, and its data go, when it is dropped or when the test's process ends.
pub struct Cluster {
    folder: PathBuf,
    node_port_address: Ipv4Addr,
    dns: SocketAddr,
    disk: Option<Disk>,
    process: Child,
    watchdog: Option<Watchdog>,
}

/// A file system for the node of a cluster.
#[derive(Debug, Clone, Copy)]
pub struct Disk {
    /// How much it holds, in MiB.
    pub size: u32,
    /// How much may be left of it before the node evicts Pods, in MiB.
    pub threshold: u32,
}

/// Mounts a file system in memory at $1, which holds $2, and becomes the rest. Nobody else sees the mount, and it goes with
/// the process, whatever ends that.
const MOUNT: &str = r#"mount -t tmpfs -o "size=$2" carob-test "$1" && shift 2 && exec "$@""#;

impl Cluster {
    /// The one cluster of this test file.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A new cluster with the samples' images, as soon as it says that it is ready.
    ///
    /// # Panics
    /// If it does not start, with the end of its log.
    #[must_use]
    pub fn start() -> Self {
        Self::with(None)
    }

    /// As [`Cluster::start`], with a node that keeps its files on a disk of its own.
    ///
    /// # Panics
    /// If it does not start, as where this user may mount nothing, not even for itself.
    #[must_use]
    pub fn on(disk: Disk) -> Self {
        Self::with(Some(disk))
    }

    fn with(disk: Option<Disk>) -> Self {
        let folder = folder::create();
        let cluster = Self::up(folder, loopback_of_its_own(), disk);
        for (file, name) in IMAGES {
            cluster.load(&tools::samples().join(format!("{file}.wasm")), name);
        }
        cluster
    }

    /// Kills the process as `kill -9` does, and starts it again on the same data.
    pub fn kill_and_restart(&mut self) {
        self.process.kill().expect("carob runs");
        self.process.wait().expect("carob has ended");
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.release();
        }
        let (process, watchdog) = run(&self.folder, self.node_port_address, self.disk);
        self.process = process;
        self.watchdog = Some(watchdog);
        self.wait_until_ready();
    }

    /// `carob image load`
    ///
    /// # Panics
    /// If it fails.
    pub fn load(&self, file: &Path, name: &str) {
        let mut command = Command::new(tools::carob());
        command.args(["image", "load"]).arg(file).args(["--tag", name, "--data-dir"]).arg(self.data_dir());
        let output = command.output().expect("carob runs");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The administrator's configuration.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir().join("kubeconfig")
    }

    /// Where node ports answer.
    #[must_use]
    pub fn node_port_address(&self) -> Ipv4Addr {
        self.node_port_address
    }

    /// Where DNS is answered.
    #[must_use]
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// What the gateway has logged so far; it listens at the node ports' address, ports 8080 and 8443.
    #[must_use]
    pub fn access_log(&self) -> String {
        fs::read_to_string(access_log(&self.folder)).unwrap_or_default()
    }

    /// The process of the cluster.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// kubectl as the administrator, in the namespace `default`.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.kubeconfig(), self.folder.join("home"))
    }

    /// kubectl as the administrator, in a new namespace.
    ///
    /// # Panics
    /// If the namespace cannot be created.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Kubectl {
        let kubectl = self.kubectl();
        let manifest = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
        kubectl.run_with(&["create", "--filename", "-"], &manifest);
        kubectl.within(name)
    }

    /// Where the cluster keeps everything.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        data_dir(&self.folder)
    }

    fn up(folder: PathBuf, node_port_address: Ipv4Addr, disk: Option<Disk>) -> Self {
        let (process, watchdog) = run(&folder, node_port_address, disk);
        let dns = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut cluster = Self { folder, node_port_address, dns, disk, process, watchdog: Some(watchdog) };
        cluster.wait_until_ready();
        cluster
    }

    fn wait_until_ready(&mut self) {
        let mut output = Said::of(self.process.stdout.take().expect("the output is piped"));
        match output.until_within("\nready", PATIENCE) {
            Ok(said) => self.dns = dns_address(&said).expect("it says where DNS is answered"),
            Err(problem) => self.never_ready(&problem),
        }
    }

    fn never_ready(&self, problem: &str) -> ! {
        let log = fs::read_to_string(log(&self.folder)).unwrap_or_default();
        let end: Vec<&str> = log.lines().rev().take(20).collect();
        panic!("carob up: {problem}\nThe end of its log, last line first:\n{}", end.join("\n"));
    }
}

/// The line `DNS ADDR:PORT`.
fn dns_address(said: &str) -> Option<SocketAddr> {
    said.lines().find_map(|line| line.strip_prefix("DNS")?.trim().parse().ok())
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read_to_string(log(&self.folder)).unwrap_or_default();
            eprintln!("the cluster's log:\n{log}");
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(folder: &Path, node_port_address: Ipv4Addr, disk: Option<Disk>) -> (Child, Watchdog) {
    let log = File::options().create(true).append(true).open(log(folder)).expect("the log can be written");
    let mut command = disk.map_or_else(|| Command::new(tools::carob()), |disk| disk.around(&data_dir(folder)));
    command.args(["up", "--listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0", "--log-format", "text"]);
    // Most tests are not about the disk that happens to be left.
    let nodefs = disk.map_or_else(|| "1%".to_owned(), |disk| format!("{}Mi", disk.threshold));
    command.args(["--eviction-hard", &format!("memory.available<50Mi,nodefs.available<{nodefs}")]);
    command.args(["--eviction-pressure-transition-period", "5s"]);
    command.args(["--ingress-http-listen", &format!("{node_port_address}:8080")]);
    command.args(["--ingress-https-listen", &format!("{node_port_address}:8443")]);
    command.arg("--ingress-access-log").arg(access_log(folder));
    command.args(["--node-port-address", &node_port_address.to_string(), "--data-dir"]).arg(data_dir(folder));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let process = command.spawn().expect("carob runs");
    let watchdog = Watchdog::over(process.id(), folder);
    (process, watchdog)
}

impl Disk {
    /// `carob` with this disk under what its node keeps. Who may mount nothing may do so in a name space of its own.
    fn around(self, data_dir: &Path) -> Command {
        let node = data_dir.join("node");
        fs::create_dir_all(&node).expect("a folder can be made");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user"]);
        command.args(["sh", "-c", MOUNT, "sh"]).arg(node).arg(format!("{}m", self.size)).arg(tools::carob());
        command
    }
}

fn data_dir(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn access_log(folder: &Path) -> PathBuf {
    folder.join("access.log")
}

fn log(folder: &Path) -> PathBuf {
    folder.join("carob.log")
}

/// All of 127.0.0.0/8 is this machine: clusters that run side by side do not fight for ports.
fn loopback_of_its_own() -> Ipv4Addr {
    static CLUSTERS: AtomicU32 = AtomicU32::new(0);
    let number = (std::process::id() << 6).wrapping_add(CLUSTERS.fetch_add(1, Ordering::Relaxed));
    let [_, high, low, _] = number.wrapping_mul(2_654_435_761).to_be_bytes();
    Ipv4Addr::new(127, 1, high, low.max(1))
}
