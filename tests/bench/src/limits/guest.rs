//! A guest that spins in as many instances as it has requests.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use carob_engine::{Container, Limits};
use http_body_util::{BodyExt, Empty};
use tokio::task::JoinSet;

use crate::http::guest::Guests;
use crate::http::ours;

const SPINS: &str = r#"(component
    (import "wasi:http/types@0.2.0" (instance $types
        (export "incoming-request" (type (sub resource)))
        (export "response-outparam" (type (sub resource)))))
    (alias export $types "incoming-request" (type $request))
    (alias export $types "response-outparam" (type $outparam))
    (core module $module (func (export "handle") (param i32 i32) (loop $again (br $again))))
    (core instance $core (instantiate $module))
    (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
        (canon lift (core func $core "handle")))
    (instance $handler (export "handle" (func $handle)))
    (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#;

/// A container with requests that are never answered; dropping it ends them.
pub(super) struct Spinners {
    pub(super) container: Container,
    _requests: JoinSet<()>,
}

impl Spinners {
    pub(super) async fn start(guests: &Guests, instances: usize, limits: Limits) -> Result<Spinners> {
        let program = guests.engine.compile("spins", &wat::parse_str(SPINS)?).await?;
        let container = ours::limited(&guests.engine, &program, &[], limits)?;
        let service = container.http().context("the guest serves HTTP")?;
        let mut requests = JoinSet::new();
        for _ in 0..instances {
            let body = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
            let request = http::Request::get("http://bench/").body(body)?;
            let answer = service.call(request);
            requests.spawn(async move { drop(answer.await) });
        }
        ensure!(!requests.is_empty(), "nothing spins");
        Ok(Spinners { container, _requests: requests })
    }
}
