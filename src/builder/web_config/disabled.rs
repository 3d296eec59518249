//! Without the feature `web-config` there is no such file. This keeps its absence out of everything else.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::locked::InForce;
use crate::telemetry::Telemetry;

/// Never called: there is no way to name a file.
pub(super) fn open(_: PathBuf, _: &Arc<Telemetry>) -> io::Result<InForce> {
    Err(io::ErrorKind::Unsupported.into())
}
