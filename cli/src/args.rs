use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use carob_node::Thresholds;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

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

#[derive(Args)]
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
    /// The host address on which node ports are served
    #[arg(long, default_value = "127.0.0.1", value_name = "IP")]
    pub(crate) node_port_address: IpAddr,
    /// How little may be left of the machine before the node evicts Pods, such as
    /// `memory.available<500Mi,nodefs.available<5%` [default: as the kubelet's]
    #[arg(long, value_name = "THRESHOLDS")]
    pub(crate) eviction_hard: Option<Thresholds>,
    /// Also load the samples' images and run `hello-http`, at node port 30080
    #[arg(long)]
    pub(crate) samples: bool,
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
    fn the_command_line_is_consistent() {
        super::Carob::command().debug_assert();
    }
}
