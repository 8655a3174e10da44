//! Servers of others, as hickory asks them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{DnsRequestOptions, Message, OpCode, Query};
use hickory_resolver::config::{NameServerConfig, ResolverOpts};
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer, RetryDnsHandle};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::{ConnectionProvider, NameServerPool, PoolContext, TlsConfig};

/// Servers any of which may be asked.
pub(crate) type Pool<P> = RetryDnsHandle<NameServerPool<P>>;

/// For one try with the servers.
const TIMEOUT: Duration = Duration::from_secs(2);
/// More tries, if none of them answers, or one cannot say.
const MORE_TRIES: usize = 1;
/// The longest that an answer is remembered, whatever it says.
const MOST_TTL: Duration = Duration::from_secs(3600);
/// The same for an answer that there is nothing (RFC 2308, section 5).
const MOST_TTL_OF_NOTHING: Duration = Duration::from_secs(300);

/// How servers are asked, and answers remembered.
pub(super) fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = TIMEOUT;
    options.positive_max_ttl = Some(MOST_TTL);
    options.negative_max_ttl = Some(MOST_TTL_OF_NOTHING);
    options
}

/// The servers, which are asked by the sockets of `provider`.
pub(crate) fn pool<P: ConnectionProvider>(servers: &[SocketAddr], provider: P) -> Pool<P> {
    let tls = TlsConfig::new().expect("nothing is read for TLS, which is not built in");
    let context = PoolContext::new(options(), tls);
    let servers = servers.iter().copied().map(by_udp_and_tcp);
    RetryDnsHandle::new(NameServerPool::from_config(servers, Arc::new(context), provider), MORE_TRIES)
}

fn by_udp_and_tcp(server: SocketAddr) -> NameServerConfig {
    let mut config = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut config.connections {
        connection.port = server.port();
    }
    config
}

/// One question. What comes back is as hickory remembers it: that there is nothing is an error there.
pub(super) async fn outcome<P: ConnectionProvider>(
    pool: &Pool<P>,
    query: Query,
    signatures: bool,
) -> Result<Message, NetError> {
    let mut options = DnsRequestOptions::default();
    options.edns_set_dnssec_ok = signatures;
    let response = pool.lookup(query, options).first_answer().await?;
    Ok(DnsError::from_response(response)?.into_message())
}

/// One question, and its answer.
///
/// # Errors
/// If there is none.
pub(crate) async fn ask<P: ConnectionProvider>(pool: &Pool<P>, query: Query) -> Result<Message, NetError> {
    message(outcome(pool, query, false).await)
}

/// The answer in what hickory says.
///
/// # Errors
/// If there is none.
pub(super) fn message(outcome: Result<Message, NetError>) -> Result<Message, NetError> {
    let mut answer = Message::response(0, OpCode::Query);
    match outcome {
        Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => {
            answer.metadata.response_code = nothing.response_code;
            answer.authorities = nothing.authorities.map(|records| records.to_vec()).unwrap_or_default();
        }
        Err(NetError::Dns(DnsError::ResponseCode(code))) => answer.metadata.response_code = code,
        other => return other,
    }
    Ok(answer)
}
