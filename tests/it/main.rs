//! The crate from outside: what a user writes, what a client sees, what the host must not feel.

mod answers;
mod api;
mod client;
mod drop_in;
mod host;
mod judges;
mod limits;
mod log;
mod own_metrics;
mod stop;
mod tidy;
