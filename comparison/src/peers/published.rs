//! The published 0.2.1, as in its README: a task of the host program.

use std::sync::Arc;

use published::Server;
use tokio::sync::Notify;

use crate::launch::{Gathers, Launch, Running, fill};
use crate::load::Load;
use crate::outcome::Outcome;

pub(super) fn prepare(load: Load, gathers: &Gathers) -> Outcome<Launch> {
    let registry = Arc::new(prometheus::Registry::new());
    fill!(prometheus, &registry, load, gathers);
    Ok(Box::new(move |address| {
        let shutdown = Arc::new(Notify::new());
        let told = Arc::clone(&shutdown);
        let server = tokio::spawn(async move { Server::run(registry, address, told.notified()).await });
        let stop = async move {
            shutdown.notify_one();
            let _ = server.await;
        };
        Ok(Running::stopped_by(stop))
    }))
}
