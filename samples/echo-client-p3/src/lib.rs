//! Asks echo servers by their names, on WASI 0.3: ends with 0 if each sent back what it was sent.
//!
//! `echo-client-p3 tcp HOST:PORT | udp HOST:PORT ...`

use wasip3::exports::cli::run::Guest;
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{
    IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket, UdpSocket,
};
use wasip3::wit_stream;

const WORDS: &[u8] = b"is anybody there?";

struct Client;

wasip3::cli::command::export!(Client);

impl Guest for Client {
    async fn run() -> Result<(), ()> {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let mut result = if args.is_empty() || args.len() % 2 != 0 { Err(()) } else { Ok(()) };
        for pair in args.chunks_exact(2) {
            let answered = ask(&pair[0], &pair[1]).await;
            println!("{} {}: {}", pair[0], pair[1], answered.as_ref().unwrap_or_else(|error| error));
            result = result.and(answered.map(drop).map_err(drop));
        }
        result
    }
}

async fn ask(protocol: &str, server: &str) -> Result<String, String> {
    let (family, address) = look_up(server).await?;
    let answer = match protocol {
        "tcp" => tcp(family, address).await?,
        "udp" => udp(family, address).await?,
        other => return Err(format!("unknown protocol {other}")),
    };
    if answer != WORDS {
        return Err(format!("answered {:?}", String::from_utf8_lossy(&answer)));
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn look_up(server: &str) -> Result<(IpAddressFamily, IpSocketAddress), String> {
    let (host, port) = server.rsplit_once(':').ok_or("HOST:PORT is wanted")?;
    let port = port.parse().map_err(said)?;
    let found = resolve_addresses(host.to_owned()).await.map_err(said)?;
    match found.first() {
        Some(IpAddress::Ipv4(address)) => {
            Ok((IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: *address })))
        }
        Some(IpAddress::Ipv6(address)) => {
            let address = Ipv6SocketAddress { port, flow_info: 0, address: *address, scope_id: 0 };
            Ok((IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(address)))
        }
        None => Err("the name has no address".to_owned()),
    }
}

async fn tcp(family: IpAddressFamily, server: IpSocketAddress) -> Result<Vec<u8>, String> {
    let socket = TcpSocket::create(family).map_err(said)?;
    socket.connect(server).await.map_err(said)?;
    let (mut output, data) = wit_stream::new();
    let sent = socket.send(data);
    output.write_all(WORDS.to_vec()).await;
    drop(output);
    sent.await.map_err(said)?;
    let (answer, received) = socket.receive();
    let answer = answer.collect().await;
    received.await.map_err(said)?;
    Ok(answer)
}

async fn udp(family: IpAddressFamily, server: IpSocketAddress) -> Result<Vec<u8>, String> {
    let socket = UdpSocket::create(family).map_err(said)?;
    socket.connect(server).map_err(said)?;
    socket.send(WORDS.to_vec(), None).await.map_err(said)?;
    socket.receive().await.map(|(answer, _)| answer).map_err(said)
}

fn said(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
