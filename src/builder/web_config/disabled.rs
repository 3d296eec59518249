//! Without the feature `web-config` there is no such file. This keeps its absence out of everything else.

use std::io;
use std::sync::Arc;

use super::locked::{ConfigFile, InForce};
use crate::auth::grants::Grants;
use crate::telemetry::Telemetry;

/// Never called: there is no way to name a file.
pub(super) fn open(_: ConfigFile, _: &Arc<Telemetry>, _: &Grants) -> io::Result<InForce> {
    Err(io::ErrorKind::Unsupported.into())
}
