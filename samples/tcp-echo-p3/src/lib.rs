//! Sends back whatever arrives, on any number of connections at once: WASI 0.3.
//!
//! `tcp-echo-p3 [PORT]`, 7 by default.

use wasip3::exports::cli::run::Guest;
use wasip3::sockets::types::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket};
use wasip3::wit_bindgen;

struct Echo;

wasip3::cli::command::export!(Echo);

impl Guest for Echo {
    async fn run() -> Result<(), ()> {
        serve().await.map_err(|error| println!("{error:?}"))
    }
}

async fn serve() -> Result<(), ErrorCode> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(7);
    let listener = TcpSocket::create(IpAddressFamily::Ipv4)?;
    listener.bind(IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (0, 0, 0, 0) }))?;
    let mut connections = listener.listen()?;
    println!("listening on {port}");
    while let Some(connection) = connections.next().await {
        wit_bindgen::spawn_local(async move {
            let (data, received) = connection.receive();
            // The stream goes back as it comes, without passing through here.
            let sent = connection.send(data).await;
            println!("sent: {sent:?}, received: {:?}", received.await);
        });
    }
    Ok(())
}
