//! One connection whose two directions go on at once: `std` has no way to wait for both, so WASI's own sockets are used.

use std::net::{SocketAddr, ToSocketAddrs};

use wasip2::cli::stdin::get_stdin;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use super::Plan;
use crate::options::{Failure, failed};
use crate::output;

const PIECE: u64 = 32 * 1024;

pub(super) fn run(plan: &Plan) -> Result<u8, Failure> {
    let told = |text: String| {
        if plan.verbose {
            eprintln!("nc: {text}");
        }
    };
    let Some(host) = &plan.host else {
        let connection = listen(plan.port, &told)?;
        return carry(&connection);
    };
    let connection = connect(host, plan, &told)?;
    if plan.probe { Ok(0) } else { carry(&connection) }
}

/// A connection, with the socket that it ends with. Fields are dropped in this order, as WASI wants it.
struct Connection {
    input: InputStream,
    output: OutputStream,
    socket: TcpSocket,
}

fn connect(host: &str, plan: &Plan, told: &dyn Fn(String)) -> Result<Connection, Failure> {
    let name = format!("{host}:{}", plan.port);
    let addresses = (host, plan.port).to_socket_addrs().map_err(|error| failed(&name, error))?;
    let mut last = Failure::Failed(format!("{name}: the name has no address"));
    for address in addresses {
        match connect_to(address, plan.patience) {
            Ok(connection) => {
                told(format!("{name} ({address}) open"));
                return Ok(connection);
            }
            Err(code) => last = failed(format_args!("{name} ({address})"), words(code)),
        }
    }
    Err(last)
}

fn connect_to(address: SocketAddr, patience: u64) -> Result<Connection, ErrorCode> {
    let socket = create_tcp_socket(family(address))?;
    socket.start_connect(&instance_network(), wasi(address))?;
    let timer = subscribe_duration(patience.saturating_mul(1_000_000_000));
    let (input, output) = finish(&socket, Some(&timer), TcpSocket::finish_connect)?;
    Ok(Connection { input, output, socket })
}

fn listen(port: u16, told: &dyn Fn(String)) -> Result<Connection, Failure> {
    let address = SocketAddr::from(([0, 0, 0, 0], port));
    let begin = || {
        let socket = create_tcp_socket(family(address))?;
        socket.start_bind(&instance_network(), wasi(address))?;
        finish(&socket, None, TcpSocket::finish_bind)?;
        socket.start_listen()?;
        finish(&socket, None, TcpSocket::finish_listen)?;
        Ok(socket)
    };
    let refused = |code| failed(format_args!("port {port}"), words(code));
    let listener: TcpSocket = begin().map_err(refused)?;
    told(format!("listening on {address}"));
    let (socket, input, output) = finish(&listener, None, TcpSocket::accept).map_err(refused)?;
    told("connected".to_owned());
    Ok(Connection { input, output, socket })
}

/// Waits until a step that was begun is done.
fn finish<T>(
    socket: &TcpSocket,
    timer: Option<&Pollable>,
    step: impl Fn(&TcpSocket) -> Result<T, ErrorCode>,
) -> Result<T, ErrorCode> {
    let ready = socket.subscribe();
    loop {
        match step(socket) {
            Err(ErrorCode::WouldBlock) => {}
            done => return done,
        }
        if timer.is_some_and(Pollable::ready) {
            return Err(ErrorCode::Timeout);
        }
        poll(&[&ready].into_iter().chain(timer).collect::<Vec<_>>());
    }
}

/// Carries the input there and what comes back to the output, until both have ended.
fn carry(connection: &Connection) -> Result<u8, Failure> {
    let stdin = get_stdin();
    let (local, remote) = (stdin.subscribe(), connection.input.subscribe());
    let (mut sends, mut receives) = (true, true);
    // When the other end has sent its last, nobody there waits for our input.
    while receives {
        let waiting: Vec<&Pollable> = sends.then_some(&local).into_iter().chain([&remote]).collect();
        poll(&waiting);
        if sends && local.ready() {
            sends = send(&stdin, connection)?;
        }
        if remote.ready() {
            receives = receive(&connection.input)?;
        }
    }
    Ok(0)
}

fn send(stdin: &InputStream, connection: &Connection) -> Result<bool, Failure> {
    match stdin.read(PIECE) {
        Ok(bytes) => {
            for piece in bytes.chunks(4096) {
                let written = connection.output.blocking_write_and_flush(piece);
                written.map_err(|_| Failure::Failed("the connection was closed".to_owned()))?;
            }
            Ok(true)
        }
        Err(_) => {
            // The other end may have closed it already.
            let _ = connection.socket.shutdown(ShutdownType::Send);
            Ok(false)
        }
    }
}

fn receive(input: &InputStream) -> Result<bool, Failure> {
    match input.read(PIECE) {
        Ok(bytes) => {
            output::bytes(&bytes);
            output::flush();
            Ok(true)
        }
        Err(StreamError::Closed) => Ok(false),
        Err(StreamError::LastOperationFailed(error)) => Err(Failure::Failed(error.to_debug_string())),
    }
}

fn family(address: SocketAddr) -> IpAddressFamily {
    if address.is_ipv4() { IpAddressFamily::Ipv4 } else { IpAddressFamily::Ipv6 }
}

fn wasi(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(address) => {
            let [a, b, c, d] = address.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port: address.port(), address: (a, b, c, d) })
        }
        SocketAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: address.port(),
                flow_info: address.flowinfo(),
                address: (a, b, c, d, e, f, g, h),
                scope_id: address.scope_id(),
            })
        }
    }
}

fn words(code: ErrorCode) -> String {
    match code {
        ErrorCode::ConnectionRefused => "connection refused".to_owned(),
        ErrorCode::Timeout => "timed out".to_owned(),
        ErrorCode::RemoteUnreachable => "cannot be reached".to_owned(),
        ErrorCode::AccessDenied => "access denied".to_owned(),
        ErrorCode::AddressInUse => "in use".to_owned(),
        other => other.name().to_owned(),
    }
}
