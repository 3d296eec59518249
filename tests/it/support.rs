//! Code that the tests share: clients, servers, collectors, futures, the log, runtimes.

pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod log;
pub(crate) mod runtime;
pub(crate) mod server;
pub(crate) mod subscriber;
pub(crate) mod watched;

pub(crate) use testing::alone::{CHILD, LARGE_STACKS, limit_memory, run_alone};
pub(crate) use testing::collectors;
pub(crate) use testing::port::reserved;
pub(crate) use testing::scratch::Scratch;
