//! nc and nslookup.

use std::net::ToSocketAddrs;

use crate::line;
use crate::options::{Failure, Spec, each, failed};

#[cfg(target_os = "wasi")]
mod connection;

const NC: Spec = Spec {
    help: "usage: nc [-v] [-w SECONDS] HOST PORT\n       nc -z [-v] [-w SECONDS] HOST PORT\n       nc -l [-v] [-p] PORT\n\n\
           Connects to a TCP port, or listens on one (-l); sends the input there and prints what comes back, until both \
           directions have ended.\n\n  -z  only look whether somebody listens\n  -w  give up connecting after so many seconds\n  \
           -v  tell what happens",
    short: "lzvw:p:nN",
    long: &[("listen", 'l'), ("verbose", 'v'), ("wait", 'w'), ("zero", 'z')],
};

/// What `nc` is to do.
#[cfg_attr(not(target_os = "wasi"), allow(dead_code, reason = "only WASI has the sockets for it"))]
struct Plan {
    host: Option<String>,
    port: u16,
    /// Only look whether somebody listens.
    probe: bool,
    verbose: bool,
    /// Seconds.
    patience: u64,
}

pub(crate) fn nc(args: &[String]) -> Result<u8, Failure> {
    let options = NC.parse(args)?;
    let listen = options.has('l');
    let words: Vec<&str> = options.rest.iter().map(String::as_str).chain(options.value('p')).collect();
    let (host, port) = match words.as_slice() {
        [port] if listen => (None, port),
        [_, port] if listen => (None, port),
        [host, port] => (Some((*host).to_owned()), port),
        _ => return Err(Failure::Usage("name a host and a port".to_owned())),
    };
    let port = port.parse().map_err(|_| Failure::Usage(format!("{port:?} is no port")))?;
    let patience = options.number('w')?.unwrap_or(60);
    talk(&Plan { host, port, probe: options.has('z'), verbose: options.has('v'), patience })
}

#[cfg(target_os = "wasi")]
fn talk(plan: &Plan) -> Result<u8, Failure> {
    connection::run(plan)
}

#[cfg(not(target_os = "wasi"))]
fn talk(_: &Plan) -> Result<u8, Failure> {
    Err(Failure::Failed("it works only inside a container".to_owned()))
}

pub(crate) fn nslookup(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: nslookup NAME...\n\nPrints the addresses of names, as programs in this container see them.",
        short: "",
        long: &[],
    };
    let names = SPEC.parse(args)?.rest;
    if names.is_empty() {
        return Err(Failure::Usage("name a host".to_owned()));
    }
    each("nslookup", &names, |name| {
        let addresses = (name, 0).to_socket_addrs().map_err(|error| failed(name, error))?;
        line!("Name:    {name}");
        addresses.for_each(|address| line!("Address: {}", address.ip()));
        Ok(())
    })
}
