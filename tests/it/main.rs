//! Tests the crate from outside: its API, its responses, and its effect on the host program.

#![allow(
    clippy::needless_borrows_for_generic_args,
    reason = "registries are borrowed, as most programs do it"
)]

mod access_control;
mod api;
mod collect;
mod default_collectors;
mod drop_in;
mod engine;
mod exposition;
mod faults;
mod formats;
mod handler;
mod hooks;
mod host;
mod interop;
mod last_scrape;
mod limits;
#[cfg(unix)]
mod listeners;
mod log;
// Only on Linux does the loopback interface have more than one address.
#[cfg(all(feature = "auth", target_os = "linux"))]
mod logins;
mod messages;
mod one_endpoint;
mod own_metrics;
#[cfg(feature = "page")]
mod page;
mod probe_debug;
mod probes;
mod prose;
mod public_api;
mod readme;
mod responses;
mod samples;
#[cfg(feature = "runtime")]
mod scheduling_delay;
mod scrape;
#[cfg(all(unix, feature = "signal"))]
mod signal;
mod start_up;
mod stop;
mod subscriber;
mod support;
mod tidy;
#[cfg(all(unix, feature = "tls"))]
mod tls;
#[cfg(all(unix, feature = "cli"))]
mod web_args;
#[cfg(feature = "web-config")]
mod web_config;
