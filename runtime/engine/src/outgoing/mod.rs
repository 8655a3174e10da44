//! Outgoing requests of `wasi:http`, both versions, through the container's own network.
//!
//! A name is looked up in that network, and each of its addresses is tried: a service of this process is called, anything
//! else is connected to and spoken to in HTTP/1.1, over TLS if the request says `https`.

mod body;
mod connection;
mod error;
mod pool;
mod target;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use carob_net::{HttpRoute, HttpService, Network, Refused, TcpOptions, TcpStream};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::timeout;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::bounds::{BODY_BYTES, BODY_CHUNK};
use crate::cpu::Meter;
use error::{connecting, looking_up, routing};
use pool::Pool;
use target::Target;
pub(crate) use tls::Tls;

/// How long each step may take if the guest does not say: as long as with other hosts of `wasi:http`.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the instances of one container send requests with: they share connections. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Outgoing {
    inner: Arc<Inner>,
}

struct Inner {
    network: Arc<dyn Network>,
    tls: Arc<Tls>,
    pool: Arc<Pool>,
    /// Whose expense connections are.
    meter: Meter,
}

/// The end of sending, which is over when there is a response.
type Transmitted = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// A request that was not answered; it is given back if nothing of it was sent.
struct Failed {
    error: Error,
    request: Option<Request<WasiBody>>,
}

impl Outgoing {
    pub(crate) fn new(network: Arc<dyn Network>, tls: Arc<Tls>, meter: Meter) -> Outgoing {
        Outgoing { inner: Arc::new(Inner { network, tls, pool: Pool::new(), meter }) }
    }
}

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _received: Transmitted,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Transmitted), Error>> + Send> {
        let inner = self.inner.clone();
        Box::new(async move {
            let response = inner.send(request, Patience::of(options.unwrap_or_default())).await?;
            Ok((response, Box::new(async { Ok(()) }) as Transmitted))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_BYTES
    }
}

/// How long a guest waits.
#[derive(Clone, Copy)]
struct Patience {
    /// For the look-up, and for a connection to each of the addresses.
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Patience {
    fn of(options: RequestOptions) -> Patience {
        Patience {
            connect: options.connect_timeout.unwrap_or(PATIENCE),
            first_byte: options.first_byte_timeout.unwrap_or(PATIENCE),
            between_bytes: options.between_bytes_timeout.unwrap_or(PATIENCE),
        }
    }
}

impl Inner {
    /// Tries one address after the other, as long as nothing of the request was sent.
    async fn send(&self, mut request: Request<WasiBody>, patience: Patience) -> Result<Response<WasiBody>, Error> {
        let target = Target::of(&request)?;
        let mut failure = Error::DestinationNotFound;
        for ip in self.look_up(&target.host, patience).await? {
            let address = SocketAddr::new(ip, target.port);
            match self.attempt(&target, address, request, patience).await {
                Ok(response) => return Ok(response.map(|body| body::timed(body, patience.between_bytes))),
                Err(Failed { error, request: None }) => return Err(error),
                Err(Failed { error, request: Some(back) }) => (failure, request) = (error, back),
            }
        }
        Err(failure)
    }

    async fn look_up(&self, host: &str, patience: Patience) -> Result<Vec<IpAddr>, Error> {
        let found = timeout(patience.connect, self.network.resolve(host)).await;
        found.map_err(|_| Error::DnsTimeout)?.map_err(looking_up)
    }

    async fn attempt(
        &self,
        target: &Target,
        address: SocketAddr,
        request: Request<WasiBody>,
        patience: Patience,
    ) -> Result<Response<WasiBody>, Failed> {
        // Asked for each request, also where a connection is kept: what was allowed then may not be now.
        match self.network.http_route(address) {
            Err(error) => Err(Failed { error: routing(error), request: Some(request) }),
            Ok(HttpRoute::InProcess(service)) if !target.tls => call(service, request, patience).await,
            Ok(_) => self.exchange(target, address, request, patience).await,
        }
    }

    /// Sends the request over a connection: one that is kept, or a new one.
    async fn exchange(
        &self,
        target: &Target,
        address: SocketAddr,
        mut request: Request<WasiBody>,
        patience: Patience,
    ) -> Result<Response<WasiBody>, Failed> {
        let key = target.key(address);
        while let Some(kept) = self.pool.take(&key) {
            match kept.send(request, patience.first_byte).await {
                // The other end closed it in the meantime.
                Err(Failed { request: Some(back), .. }) => request = back,
                Err(failed) => return Err(failed),
                Ok((response, connection)) => {
                    self.pool.keep(key, connection);
                    return Ok(response);
                }
            }
        }
        let opened = timeout(patience.connect, connection::open(self, target, address)).await;
        let connection = match opened.unwrap_or(Err(Error::ConnectionTimeout)) {
            Ok(connection) => connection,
            Err(error) => return Err(Failed { error, request: Some(request) }),
        };
        let (response, connection) = connection.send(request, patience.first_byte).await?;
        self.pool.keep(key, connection);
        Ok(response)
    }

    /// A TCP connection from any of the container's own ports.
    async fn connect(&self, address: SocketAddr) -> Result<TcpStream, Error> {
        let port = self.network.bind_tcp(target::any_port(address)).map_err(connecting)?;
        let connection = port.connect(address, TcpOptions::default()).await;
        connection.map(TcpStream::from).map_err(connecting)
    }
}

/// Has a service of this process answer.
async fn call(
    service: Arc<dyn HttpService>,
    request: Request<WasiBody>,
    patience: Patience,
) -> Result<Response<WasiBody>, Failed> {
    let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
    let answered = timeout(patience.first_byte, service.call(request)).await;
    match answered {
        Ok(Ok(response)) => Ok(response.map(|body| body.map_err(error::in_body).boxed_unsync())),
        Ok(Err((refused, request))) => {
            let request = request.map(|request| request.map(|body| body.map_err(error::in_body).boxed_unsync()));
            let error = match refused {
                Refused::Overloaded => Error::ConnectionLimitReached,
                Refused::Closed => Error::ConnectionRefused,
                Refused::Failed(_) => Error::HttpResponseIncomplete,
            };
            Err(Failed { error, request })
        }
        Err(_) => Err(Failed { error: Error::HttpResponseTimeout, request: None }),
    }
}

#[cfg(test)]
mod tests;
