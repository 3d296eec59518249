//! This crate: a thread of its own, all defaults.

use prometheus_hyper::{Builder, Server};

use crate::load::Load;
use crate::outcome::Outcome;
use crate::peers::{Gathers, Launch, Running, fill};

pub(super) fn prepare(load: Load, gathers: &Gathers) -> Outcome<Launch> {
    with(Server::builder(), load, gathers)
}

/// For more idle connections than it keeps by default.
pub(super) fn prepare_roomy(load: Load, gathers: &Gathers) -> Outcome<Launch> {
    with(Server::builder().max_connections(1000), load, gathers)
}

fn with(builder: Builder, load: Load, gathers: &Gathers) -> Outcome<Launch> {
    let registry = prometheus::Registry::new();
    fill!(prometheus, &registry, load, gathers);
    Ok(Box::new(move |address| {
        let guard = builder.registry(&registry).listen(address).bind()?.start()?;
        Ok(Running::stopped_by(guard.shutdown()))
    }))
}
