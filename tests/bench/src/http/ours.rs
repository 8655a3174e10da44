//! The engine behind a plain hyper server.

use std::sync::Arc;

use anyhow::{Context, Result};
use carob_engine::{Composition, Container, ContainerConfig, Engine, Input, Limits, Output, Program, Stream};
use carob_net::{BoxError, HttpService, Unplugged};
use http_body_util::BodyExt;

use super::serve::{Server, serve};

/// Drops what guests print.
pub(crate) struct Silent;

impl Output for Silent {
    fn write(&self, _stream: Stream, _bytes: &[u8]) {}
}

/// A container without limits.
pub(crate) fn container(engine: &Engine, program: &Program, args: &[&str]) -> Result<Container> {
    limited(engine, program, args, Limits::default())
}

/// A container that nobody listens to.
pub(crate) fn limited(engine: &Engine, program: &Program, args: &[&str], limits: Limits) -> Result<Container> {
    printing(engine, program, args, limits, Arc::new(Silent))
}

pub(crate) fn printing(
    engine: &Engine,
    program: &Program,
    args: &[&str],
    limits: Limits,
    output: Arc<dyn Output>,
) -> Result<Container> {
    Ok(engine.start(program, ContainerConfig { limits, output, ..config(args) })?)
}

/// What a container is given that has no limits, reaches nothing, and that nobody listens to.
pub(crate) fn config(args: &[&str]) -> ContainerConfig {
    ContainerConfig {
        name: "bench".into(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: vec![],
        mounts: [].into(),
        working_dir: None,
        network: Arc::new(Unplugged),
        input: Input::default(),
        terminal: false,
        limits: Limits::default(),
        memory_group: None,
        output: Arc::new(Silent),
        http_reuse: false,
        capabilities: Arc::default(),
        composition: Composition::default(),
    }
}

pub(crate) async fn start(container: &Container) -> Result<Server> {
    let service = container.http().context("the program serves no HTTP")?;
    serve(move |request| ask(service.clone(), request)).await
}

async fn ask(
    service: Arc<dyn HttpService>,
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<carob_net::Body>, BoxError> {
    let request = request.map(|body| body.map_err(BoxError::from).boxed_unsync());
    service.call(request).await.map_err(|(refused, _)| refused.into())
}
