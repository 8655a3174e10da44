//! Questions about names of the cluster by UDP, beside a bare echo of the same packets: on the same runtime, to the same
//! clients.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use carob_dns::{Change, Dns, Listener, Namespaced, Service, Upstreams, Zone, ZoneConfig};
use carob_netmesh::MeshConfig;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use crate::measure::{Client, Load, closed_loop};
use crate::runtime::Metered;
use crate::table::{Row, Target};

/// Of each measurement; they take turns, so that both sides see the same minute.
const TIME: Duration = Duration::from_secs(1);
const TURNS: usize = 3;
/// Each waits for its answer before it asks again.
const CLIENTS: usize = 64;
const SERVICES: u16 = 10_000;
const FLOOR: &str = "bare UDP echo on the same runtime";

pub(crate) async fn run() -> Result<Vec<Row>> {
    let runtime = Metered::new()?;
    let stop = CancellationToken::new();
    let (ours, echo) = (serve(&runtime, stop.clone()).await?, echo(&runtime).await?);
    let (mut served, mut echoed) = (Side::default(), Side::default());
    for _ in 0..TURNS {
        echoed.turn(&runtime, echo).await?;
        served.turn(&runtime, ours).await?;
    }
    stop.cancel();
    Ok(vec![
        Row {
            what: "DNS, A of one of 10,000 Services, 64 clients",
            unit: "1/s",
            ours: served.load.per_second(),
            floor_is: FLOOR,
            floor: echoed.load.per_second(),
            target: Target::AtLeast(0.7),
        },
        Row {
            what: "DNS, CPU of one question",
            unit: "us",
            ours: served.microseconds_each(),
            floor_is: FLOOR,
            floor: echoed.microseconds_each(),
            target: Target::None,
        },
    ])
}

struct Side {
    load: Load,
    cpu: Duration,
}

impl Default for Side {
    fn default() -> Side {
        Side { load: Load::EMPTY, cpu: Duration::ZERO }
    }
}

impl Side {
    async fn turn(&mut self, runtime: &Metered, server: SocketAddr) -> Result<()> {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(Asker::new(server).await?);
        }
        let before = runtime.cpu()?;
        self.load.add(closed_loop(clients, TIME).await?);
        self.cpu += runtime.cpu()? - before;
        Ok(())
    }

    fn microseconds_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.load.count() as f64
    }
}

async fn serve(runtime: &Metered, stop: CancellationToken) -> Result<SocketAddr> {
    let dns = Dns::complete(zone(), Upstreams::default());
    let (sender, receiver) = tokio::sync::oneshot::channel();
    runtime.spawn(async move {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        sender.send(listener.local_address()?).ok();
        dns.serve(listener, stop).await;
        anyhow::Ok(())
    })?;
    Ok(receiver.await?)
}

async fn echo(runtime: &Metered) -> Result<SocketAddr> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    runtime.spawn::<Result<()>>(async move {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        sender.send(socket.local_addr()?).ok();
        let mut buffer = [0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await?;
            socket.send_to(&buffer[..length], from).await?;
        }
    })?;
    Ok(receiver.await?)
}

fn zone() -> Zone {
    let mesh = MeshConfig::default();
    let mut zone = Zone::new(ZoneConfig {
        domain: "cluster.local".into(),
        ranges: vec![mesh.pods, mesh.services],
        server: Namespaced { namespace: "kube-system".into(), name: "kube-dns".into() },
    });
    zone.apply(Change::Namespace("default".into()));
    for number in 0..SERVICES {
        let [high, low] = number.to_be_bytes();
        let addresses = vec![IpAddr::from([10, 96, high, low])];
        let name = Namespaced { namespace: "default".into(), name: format!("service-{number}") };
        zone.apply(Change::Service(name, Service::Cluster { addresses, ports: Vec::new() }));
    }
    zone
}

/// Asks for one Service after the other.
struct Asker {
    socket: UdpSocket,
}

impl Asker {
    async fn new(server: SocketAddr) -> Result<Asker> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.connect(server).await?;
        Ok(Asker { socket })
    }
}

impl Client for Asker {
    async fn ask(&mut self, number: u64) -> Result<()> {
        let question = question(&format!("service-{}.default.svc.cluster.local", number % u64::from(SERVICES)));
        self.socket.send(&question).await?;
        let mut answer = [0; 512];
        let length = self.socket.recv(&mut answer).await?;
        // The echo is as long as the question, and an answer longer; neither is an error.
        ensure!(length >= question.len() && answer[3] & 0xf == 0, "it was not answered");
        Ok(())
    }
}

/// A question for an IPv4 address (RFC 1035, section 4.1).
fn question(name: &str) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    packet
}
