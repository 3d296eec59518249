//! Probes: what an exporter finds out about a target while the scrape that names it waits, each by itself, under that
//! scrape's deadline. Knows neither HTTP nor sockets.

mod exposer;
mod log;
mod prober;
mod request;

pub use request::{ProbeError, ProbeRequest};

pub(crate) use prober::{Prober, Unanswered};
pub(crate) use request::{Parameters, ProbePath};
