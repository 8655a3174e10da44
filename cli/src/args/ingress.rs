//! What a node's gateway is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use carob_resources::quantity::Quantity;
use clap::Args;

use super::duration;

#[derive(Args)]
#[command(next_help_heading = "Ingress")]
pub(crate) struct IngressOptions {
    /// Where Ingresses are served over HTTP, or `off` [default: 127.0.0.1:8080; off on a node that joins]
    #[arg(long, value_name = "ADDR:PORT|off")]
    pub(crate) ingress_http_listen: Option<Listen>,
    /// Where Ingresses are served over HTTPS, or `off` [default: 127.0.0.1:8443; off on a node that joins]
    #[arg(long, value_name = "ADDR:PORT|off")]
    pub(crate) ingress_https_listen: Option<Listen>,
    /// Where a line for each request is appended, in the Combined Log Format with host, Ingress, Service and time; `-` is
    /// standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) ingress_access_log: Option<PathBuf>,
    /// How large a request's line and headers may be; past it the answer is 431
    #[arg(long, default_value = "64Ki", value_name = "QUANTITY", value_parser = bytes)]
    pub(crate) ingress_max_head: u64,
    /// How large a request's body may be; past it the answer is 413
    #[arg(long, default_value = "64Mi", value_name = "QUANTITY", value_parser = bytes)]
    pub(crate) ingress_max_body: u64,
    /// How many clients may be connected; more wait
    #[arg(long, default_value_t = 16 * 1024, value_name = "COUNT")]
    pub(crate) ingress_max_connections: usize,
    /// How long a client may take to send a request's line and headers
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration)]
    pub(crate) ingress_head_timeout: Duration,
    /// How long a request may take until its answer begins, its body included
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = duration)]
    pub(crate) ingress_request_timeout: Duration,
    /// For how long nothing may move on a connection, upgraded ones included
    #[arg(long, default_value = "180s", value_name = "TIME", value_parser = duration)]
    pub(crate) ingress_idle_timeout: Duration,
}

/// Where something listens, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    At(SocketAddr),
    Off,
}

impl Listen {
    pub(crate) fn address(self) -> Option<SocketAddr> {
        match self {
            Listen::At(address) => Some(address),
            Listen::Off => None,
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Listen, String> {
        match text {
            "off" => Ok(Listen::Off),
            address => address
                .parse()
                .map(Listen::At)
                .map_err(|_| format!("{address:?} is no address and port such as 127.0.0.1:8080, nor `off`")),
        }
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let mistake = || format!("{text:?} is no amount of bytes such as 512Ki, 64Mi or 1G");
    Quantity::parse(text).ok().and_then(|amount| u64::try_from(amount.units()).ok()).ok_or_else(mistake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_amounts_of_the_gateway_are_read() {
        assert_eq!("off".parse(), Ok(Listen::Off));
        assert_eq!("0.0.0.0:80".parse(), Ok(Listen::At(([0, 0, 0, 0], 80).into())));
        assert!("8080".parse::<Listen>().is_err());
        assert_eq!((bytes("64Ki"), bytes("1G"), bytes("5")), (Ok(65_536), Ok(1_000_000_000), Ok(5)));
        assert!(bytes("-1").is_err() && bytes("much").is_err());
    }
}
