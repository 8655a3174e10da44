//! A guest that opens sockets without end.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result};
use carob_engine::ContainerConfig;
use carob_net::{Networks, Workload};
use carob_netmesh::{Mesh, MeshConfig};

use super::heard::Heard;
use crate::http::neighbours::Neighbour;
use crate::http::{guest, ours};
use crate::table::{Row, Target};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 244, 0, 2));

pub(super) async fn run() -> Result<Vec<Row>> {
    let guests = guest::engine()?;
    let neighbour = Neighbour::start(&guests).await?;
    let config = MeshConfig::default();
    let cap = config.caps.sockets;
    let workload = Workload {
        namespace: "default".into(),
        name: "flood".into(),
        addresses: vec![ADDRESS],
        hosts: vec![],
        names: Default::default(),
    };
    let (network, heard) = (Mesh::new(config).join(workload)?, Heard::new());
    let own = ContainerConfig { network, output: heard.clone(), ..ours::config(&["misbehave", "flood-sockets"]) };
    let _flood = guests.engine.start(&guests.program("misbehave").await?, own)?;
    heard.until("the flood is refused a socket", |text| text.contains("sockets, then")).await?;
    let beside = neighbour.beside(1, "a neighbour's p99, beside a flood of sockets").await?;
    let got = most(&heard.text()).context("the flood has said what it has")?;
    Ok(vec![
        Row {
            what: "sockets and listeners of a guest that opens them without end",
            unit: "sockets",
            ours: got as f64,
            floor_is: "what a Pod may have",
            floor: cap as f64,
            target: Target::Reaches(1.0),
        },
        beside,
    ])
}

/// The most sockets that it has said to have.
fn most(text: &str) -> Option<usize> {
    text.lines().filter_map(|line| line.strip_prefix("has ")?.split(' ').next()?.parse().ok()).max()
}
