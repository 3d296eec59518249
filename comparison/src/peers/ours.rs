//! This crate: threads of its own, all defaults, and its other kinds of start.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use prometheus::Registry;
use prometheus_client::encoding::text::encode;
use prometheus_hyper::{Builder, Server, collector};
use tokio::sync::oneshot;

use super::client_rust;
use crate::launch::{Gathers, Launch, Running, fill};
use crate::load::Load;
use crate::outcome::Outcome;

type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) fn prepare(load: Load, gathers: &Gathers) -> Outcome<Launch> {
    started(Server::builder(), load, gathers)
}

/// Keeps more idle connections than by default.
pub(super) fn prepare_roomy(load: Load, gathers: &Gathers) -> Outcome<Launch> {
    started(Server::builder().max_connections(1000), load, gathers)
}

/// The metrics of another library, read from what it writes.
pub(super) fn prepare_exposition(load: Load, gathers: &Gathers) -> Outcome<Launch> {
    let metrics = client_rust::registry(load, gathers);
    let registry = Registry::new();
    registry.register(Box::new(collector::exposition(move |text| Ok(encode(text, &metrics)?))))?;
    serving(Server::builder(), registry)
}

fn started(builder: Builder, load: Load, gathers: &Gathers) -> Outcome<Launch> {
    serving(builder, filled(load, gathers)?)
}

fn serving(builder: Builder, registry: Registry) -> Outcome<Launch> {
    Ok(Box::new(move |address| {
        let guard = builder.registry(&registry).listen(address).bind()?.start()?;
        Ok(Running::stopped_by(guard.shutdown()))
    }))
}

/// `run`, awaited in a task of the host program.
pub(super) fn prepare_run(load: Load, gathers: &Gathers) -> Outcome<Launch> {
    let registry = Arc::new(filled(load, gathers)?);
    Ok(Box::new(move |address| Ok(spawned(|stopped| prometheus_hyper::run(registry, address, stopped)))))
}

/// `serve` of a builder, awaited in a task of the host program.
pub(super) fn prepare_serve(load: Load, gathers: &Gathers) -> Outcome<Launch> {
    let registry = filled(load, gathers)?;
    Ok(Box::new(move |address| {
        let server = Server::builder().registry(&registry).listen(address).bind()?;
        Ok(spawned(|stopped| server.serve(stopped)))
    }))
}

fn filled(load: Load, gathers: &Gathers) -> Outcome<Registry> {
    let registry = Registry::new();
    fill!(prometheus, &registry, load, gathers);
    Ok(registry)
}

fn spawned<F: Future<Output = io::Result<()>> + Send + 'static>(serve: impl FnOnce(Stopped) -> F) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped: Stopped = Box::pin(async move {
        let _ = stopped.await;
    });
    let server = tokio::spawn(serve(stopped));
    Running::stopped_by(async move {
        drop(stop);
        let _ = server.await;
    })
}
