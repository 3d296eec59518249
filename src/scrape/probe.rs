//! Probes: metrics of a target that the scrape names, gathered while the scrape waits, within its deadline. No HTTP,
//! no sockets.

mod exposer;
mod log;
mod prober;
mod request;

pub use request::{ProbeError, ProbeRequest};

pub(crate) use exposer::NoExposition;
pub(crate) use prober::Prober;
pub(crate) use request::{Parameters, ProbePath};
