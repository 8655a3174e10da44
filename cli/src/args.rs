mod ingress;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use carob_controllers::{EvictionRates, PodNetwork, PodNetworkError};
use carob_node::Thresholds;
use carob_pki::CaHash;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Taint;

use crate::up::dns::{self, StubOption};
pub(crate) use ingress::{IngressOptions, Listen};

/// Kubernetes for WebAssembly, in one binary.
#[derive(Parser)]
#[command(version, about, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Carob {
    #[command(flatten)]
    pub(crate) log: LogOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args)]
#[command(next_help_heading = "Logging")]
pub(crate) struct LogOptions {
    /// What to log: a level (error, warn, info, debug, trace), or one for each part, such as
    /// `info,carob_node=debug`
    #[arg(long, global = true, env = "CAROB_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log_level: String,
    /// How log lines look on standard error [default: text on a terminal, json elsewhere]
    #[arg(long, global = true, env = "CAROB_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a whole cluster in the foreground: API server, store, scheduler, controllers, node, Services
    Up(UpOptions),
    /// Run a control plane that nodes join, with a node of its own or without
    Server(ServerOptions),
    /// Run a node that joins a cluster
    Node(JoinOptions),
    /// Invite machines to become nodes
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Put components into this node's image store, and list what is there
    Image {
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// Print the administrator's kubeconfig, or merge it into your own
    Kubeconfig(KubeconfigOptions),
    /// Print the version
    Version,
    /// Print a completion script for your shell
    Completion {
        /// The shell to complete for
        shell: Shell,
    },
}

#[derive(Args, Clone)]
pub(crate) struct DataDir {
    /// Where the cluster keeps everything [default: /var/lib/carob for root, otherwise
    /// $XDG_STATE_HOME/carob or ~/.local/state/carob]
    #[arg(long, env = "CAROB_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct UpOptions {
    #[command(flatten)]
    pub(crate) data: DataDir,
    /// Where the Kubernetes API is served over TLS; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:6443", value_name = "ADDR:PORT")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) node: NodeOptions,
    #[command(flatten)]
    pub(crate) control: ControlOptions,
    /// Also load the samples' images and run `hello-http`, at node port 30080
    #[arg(long)]
    pub(crate) samples: bool,
}

#[derive(Args)]
pub(crate) struct ServerOptions {
    #[command(flatten)]
    pub(crate) data: DataDir,
    /// Where the Kubernetes API is served over TLS; port 0 takes a free one, and `0.0.0.0` all addresses
    #[arg(long, default_value = "127.0.0.1:6443", value_name = "ADDR:PORT")]
    pub(crate) listen: SocketAddr,
    /// The address at which nodes and clients reach the API [default: that of --listen, or where it is unspecified the
    /// one by which this machine reaches others]
    #[arg(long, value_name = "IP")]
    pub(crate) advertise_address: Option<IpAddr>,
    /// Another name or address that the API server's certificate vouches for; can be given several times
    #[arg(long, value_name = "NAME|IP")]
    pub(crate) tls_san: Vec<String>,
    /// Run no node in this process
    #[arg(long)]
    pub(crate) no_node: bool,
    #[command(flatten)]
    pub(crate) mesh: MeshOptions,
    #[command(flatten)]
    pub(crate) control: ControlOptions,
    #[command(flatten)]
    pub(crate) node: NodeOptions,
}

#[derive(Args)]
pub(crate) struct MeshOptions {
    /// The UDP port at which other nodes reach this one's Pods, encrypted; 0 takes a free one. It has to be open between all
    /// nodes
    #[arg(long, default_value_t = 10443, value_name = "PORT")]
    pub(crate) mesh_port: u16,
}

#[derive(Args)]
#[command(next_help_heading = "Control plane")]
pub(crate) struct ControlOptions {
    /// How long nothing may be heard of a node before it counts as lost
    #[arg(long, default_value = "40s", value_name = "TIME", value_parser = duration)]
    pub(crate) node_monitor_grace_period: Duration,
    /// From how many lost nodes a second Pods are evicted, in each zone
    #[arg(long, default_value = "0.1", value_name = "RATE", value_parser = rate)]
    pub(crate) node_eviction_rate: f64,
    /// The same in an unhealthy zone that is large; in a small one none are evicted
    #[arg(long, default_value = "0.01", value_name = "RATE", value_parser = rate)]
    pub(crate) secondary_node_eviction_rate: f64,
    /// Which share of a zone's nodes must be lost, three at least, for it to count as unhealthy
    #[arg(long, default_value = "0.55", value_name = "SHARE", value_parser = rate)]
    pub(crate) unhealthy_zone_threshold: f64,
    /// A zone with more nodes is large
    #[arg(long, default_value_t = 50, value_name = "NODES")]
    pub(crate) large_cluster_size_threshold: usize,
    /// How long certificates are good that nodes and people ask for
    #[arg(long, default_value = "8760h", value_name = "TIME", value_parser = duration)]
    pub(crate) cluster_signing_duration: Duration,
    /// How many bits of a Pod's address say its node: 18 makes room for 4 nodes with 16,381 Pods, 24 for 256 with 253
    #[arg(long, default_value_t = 18, value_name = "BITS")]
    pub(crate) node_cidr_mask_size: u8,
}

impl ControlOptions {
    /// The network of all Pods, cut into ranges for nodes.
    pub(crate) fn pod_network(&self) -> Result<PodNetwork, PodNetworkError> {
        PodNetwork::new(Ipv4Addr::new(10, 244, 0, 0), 16, self.node_cidr_mask_size)
    }

    pub(crate) fn eviction_rates(&self) -> EvictionRates {
        EvictionRates {
            node_eviction_rate: self.node_eviction_rate,
            secondary_node_eviction_rate: self.secondary_node_eviction_rate,
            unhealthy_zone_threshold: self.unhealthy_zone_threshold,
            large_cluster_size_threshold: self.large_cluster_size_threshold,
        }
    }
}

#[derive(Args)]
#[command(next_help_heading = "Node")]
pub(crate) struct NodeOptions {
    /// The host address on which node ports are served
    #[arg(long, default_value = "127.0.0.1", value_name = "IP")]
    pub(crate) node_port_address: IpAddr,
    /// Where DNS is answered for the names of the cluster and, by asking others, for all; port 0 takes a free one
    /// [default: 127.0.0.1:10053; of `carob node` a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) dns_listen: Option<SocketAddr>,
    /// Whom to ask for names outside of the cluster; may be given several times [default: whom the host asks]
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = dns::server)]
    pub(crate) dns_upstream: Vec<SocketAddr>,
    /// Whom to ask for the names of a domain, such as `corp.example=192.0.2.1,192.0.2.2:5353`; may be given several times
    #[arg(long, value_name = "DOMAIN=ADDR[:PORT],...")]
    pub(crate) dns_stub: Vec<StubOption>,
    /// How little may be left of the machine before the node evicts Pods, such as
    /// `memory.available<500Mi,nodefs.available<5%` [default: as the kubelet's]
    #[arg(long, value_name = "THRESHOLDS")]
    pub(crate) eviction_hard: Option<Thresholds>,
    /// How long the node goes on saying that it is short of something after it was
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = duration)]
    pub(crate) eviction_pressure_transition_period: Duration,
    /// A label of the node; can be given several times
    #[arg(long = "labels", value_name = "KEY=VALUE", value_parser = label, value_delimiter = ',')]
    pub(crate) labels: Vec<(String, String)>,
    /// A taint that the node registers with; can be given several times
    #[arg(long = "taints", value_name = "KEY[=VALUE]:EFFECT", value_parser = taint, value_delimiter = ',')]
    pub(crate) taints: Vec<Taint>,
    /// For how long a heartbeat is good; a quarter of it is between two
    #[arg(long, default_value = "40s", value_name = "TIME", value_parser = duration)]
    pub(crate) node_lease_duration: Duration,
    #[command(flatten)]
    pub(crate) ingress: IngressOptions,
}

#[derive(Args)]
pub(crate) struct JoinOptions {
    #[command(flatten)]
    pub(crate) data: DataDir,
    /// The URL of the API server
    #[arg(long, env = "CAROB_SERVER", value_name = "URL")]
    pub(crate) server: String,
    /// A token of `carob token create`; needed once
    #[arg(long, env = "CAROB_TOKEN", hide_env_values = true, value_name = "TOKEN", requires = "ca_hash")]
    pub(crate) token: Option<String>,
    /// What the cluster's certificate authority is known by: `sha256:` and 64 hexadecimal digits
    #[arg(long, env = "CAROB_CA_HASH", value_name = "HASH")]
    pub(crate) ca_hash: Option<CaHash>,
    /// The node's name [default: the host's]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The node's own address [default: the one by which this machine reaches the server]
    #[arg(long, value_name = "IP")]
    pub(crate) node_ip: Option<IpAddr>,
    /// Where the API server reaches this node's kubelet API; port 0 takes a free one
    #[arg(long, default_value = "0.0.0.0:10250", value_name = "ADDR:PORT")]
    pub(crate) kubelet_listen: SocketAddr,
    #[command(flatten)]
    pub(crate) mesh: MeshOptions,
    #[command(flatten)]
    pub(crate) node: NodeOptions,
}

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it
    Create(TokenCreateOptions),
    /// List the tokens that there are
    List {
        #[command(flatten)]
        data: DataDir,
    },
    /// Delete a token; nodes that have joined by it stay
    Delete {
        /// The token, or what stands before its dot
        token: String,
        #[command(flatten)]
        data: DataDir,
    },
}

#[derive(Args)]
pub(crate) struct TokenCreateOptions {
    /// How long the token is good; 0s is for ever
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = duration)]
    pub(crate) ttl: Duration,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Print the whole command by which a machine joins
    #[arg(long)]
    pub(crate) print_join_command: bool,
    #[command(flatten)]
    pub(crate) data: DataDir,
}

fn duration(text: &str) -> Result<Duration, String> {
    let mistake = || format!("{text:?} is no time such as 40s, 10m or 24h");
    text.parse::<SignedDuration>().ok().and_then(|time| time.try_into().ok()).ok_or_else(mistake)
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| format!("{text:?} is no number from 0 on, such as 0.1"))
}

fn label(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = parts.ok_or_else(|| format!("{text:?} is no label such as zone=a"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn taint(text: &str) -> Result<Taint, String> {
    let mistake = || {
        format!("{text:?} is no taint such as dedicated=db:NoSchedule, with NoSchedule, PreferNoSchedule or NoExecute")
    };
    let (key, effect) = text.rsplit_once(':').ok_or_else(mistake)?;
    let (key, value) = key.split_once('=').map_or((key, None), |(key, value)| (key, Some(value.to_owned())));
    if key.is_empty() || !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
        return Err(mistake());
    }
    Ok(Taint { key: key.to_owned(), value, effect: effect.to_owned(), time_added: None })
}

#[derive(Subcommand)]
pub(crate) enum ImageCommand {
    /// Put a component, a core module or a bundle into the image store, for use as `image: NAME`
    Load(ImageLoadOptions),
    /// List the images in the store
    List(ImageListOptions),
}

#[derive(Args)]
pub(crate) struct ImageLoadOptions {
    /// A component, a core module of WASI 0.1, or a bundle: a tar archive with one `.wasm` file at its
    /// top and the files that go with it
    pub(crate) file: PathBuf,
    /// The name under which Pods use it, such as `shop/cart:1.4`
    #[arg(long, value_name = "NAME")]
    pub(crate) tag: String,
    #[command(flatten)]
    pub(crate) data: DataDir,
}

#[derive(Args)]
pub(crate) struct ImageListOptions {
    #[command(flatten)]
    pub(crate) data: DataDir,
}

#[derive(Args)]
pub(crate) struct KubeconfigOptions {
    /// Merge it into $KUBECONFIG or ~/.kube/config as the context `carob`, and make that the current one
    #[arg(long)]
    pub(crate) merge: bool,
    #[command(flatten)]
    pub(crate) data: DataDir,
}

/// Prints the completion script for `shell`.
pub(crate) fn complete(shell: Shell) {
    clap_complete::generate(shell, &mut Carob::command(), "carob", &mut std::io::stdout());
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn labels_taints_and_times_are_read_as_kubectl_writes_them() {
        use super::{duration, label, rate, taint};
        let read = taint("dedicated=db:NoSchedule").unwrap();
        assert_eq!(
            (read.key.as_str(), read.value.as_deref(), read.effect.as_str()),
            ("dedicated", Some("db"), "NoSchedule")
        );
        assert_eq!(taint("a:NoExecute").unwrap().value, None);
        assert_eq!(label("zone=").unwrap(), ("zone".to_owned(), String::new()));
        assert_eq!(duration("24h").unwrap().as_secs(), 86400);
        assert_eq!(rate("0.1"), Ok(0.1));
        assert!(["-1", "NaN", "inf", "often"].into_iter().all(|text| rate(text).is_err()));
        assert!(["a", ":NoExecute", "a:Never"].into_iter().all(|text| taint(text).is_err()));
        assert!(label("=x").is_err() && label("x").is_err() && duration("-1s").is_err() && duration("soon").is_err());
    }

    #[test]
    fn the_command_line_is_consistent() {
        super::Carob::command().debug_assert();
    }
}
