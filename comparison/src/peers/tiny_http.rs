//! prometheus_exporter: the default registry of an older `prometheus`, a thread of its own, no stop.

use prometheus_exporter::prometheus::default_registry;

use crate::launch::{Gathers, Launch, Running, fill};
use crate::load::Load;
use crate::outcome::Outcome;

pub(super) fn prepare(load: Load, gathers: &Gathers) -> Outcome<Launch> {
    fill!(prometheus_exporter::prometheus, default_registry(), load, gathers);
    Ok(Box::new(|address| Ok(Running::new(prometheus_exporter::start(address)?))))
}
