//! Reads the wishes, wires the parts, waits for the end.
//!
//! The only place that reads arguments and the environment, builds the tokio runtime, installs tracing, prints, and uses
//! `anyhow`. It holds no rule of its own. Start reading at `up::run`: it is the cluster's table of contents.

mod args;
mod data_dir;
mod image;
mod kubeconfig;
mod logging;
mod node;
mod process;
mod samples;
mod server;
mod token;
mod up;

use std::process::ExitCode;

use clap::Parser;

use args::{Carob, Command, ImageCommand};

/// A request's memory is often freed on another thread than it was taken on, which the system's allocator is slow at: a
/// fifth of what it takes to create an object.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let carob = Carob::parse();
    logging::install(&carob.log);
    match run(carob.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("carob: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(options) => up::run(options),
        Command::Server(options) => server::run(options),
        Command::Node(options) => node::run(options),
        Command::Token { command } => token::run(command),
        Command::Image { command: ImageCommand::Load(options) } => image::load(&options),
        Command::Image { command: ImageCommand::List(options) } => image::list(&options),
        Command::Kubeconfig(options) => kubeconfig::run(&options),
        Command::Version => {
            println!("carob {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Command::Completion { shell } => {
            args::complete(shell);
            Ok(())
        }
    }
}
