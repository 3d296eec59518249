//! What the options hold, as `bind` and `into_handler` take it.

pub(super) mod access;
pub(super) mod metrics;
