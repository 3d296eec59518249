//! The crate from outside: what a user writes, what a client sees, what the host must not feel.

mod answers;
mod api;
mod client;
mod drop_in;
mod forms;
mod hooks;
mod host;
mod judges;
mod limits;
mod log;
mod own_metrics;
mod scrape;
mod stop;
mod tidy;
