//! nginx, where it is installed: the peer of the gateway.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(10);

/// A running nginx; dropping it ends it.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    process: Child,
    _folder: TempDir,
}

/// A reverse proxy in front of `backend`, with connections that are kept on both sides and no access log, as the gateway in
/// this run. `None`, said on standard error, where there is no nginx.
pub(crate) async fn start(backend: SocketAddr) -> Result<Option<Peer>> {
    let folder = tempfile::tempdir()?;
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
    let config = folder.path().join("nginx.conf");
    fs::write(&config, settings(address, backend, folder.path().display().to_string().as_str()))?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&config).arg("-p").arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(process) = command.spawn() else {
        eprintln!("no nginx is on PATH: the rows beside nginx are left out");
        return Ok(None);
    };
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        ensure!(begun.elapsed() < PATIENCE, "nginx does not listen at {address}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Some(Peer { address, process, _folder: folder }))
}

impl Drop for Peer {
    /// As its own users stop it, so that it takes its workers with it.
    fn drop(&mut self) {
        if let Some(pid) = self.process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

fn settings(address: SocketAddr, backend: SocketAddr, folder: &str) -> String {
    format!(
        "daemon off; worker_processes auto; pid {folder}/pid; error_log {folder}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
           access_log off; keepalive_requests 1000000000;\n\
           client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};\n\
           scgi_temp_path {folder};\n\
           upstream backend {{ server {backend}; keepalive 64; keepalive_requests 1000000000; }}\n\
           server {{ listen {address}; server_name bench; location / {{\n\
             proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
             proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;\n\
             proxy_set_header X-Forwarded-Host $host;\n\
           }} }}\n\
         }}\n"
    )
}
