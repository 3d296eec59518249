//! Without the feature `tls` connections are plain. This keeps its absence out of everything else.

use std::io;
use std::sync::Arc;

use crate::auth::grants::Grants;
use crate::net::stream::Secure;
use crate::telemetry::Telemetry;

/// None.
#[derive(Debug, Default)]
pub(super) struct TlsOptions;

impl TlsOptions {
    pub(super) fn fault(&self) -> Option<String> {
        None
    }

    pub(super) fn is_set(&self) -> bool {
        false
    }

    pub(super) fn has_files(&self) -> bool {
        false
    }

    pub(super) fn open(self, _: &Arc<Telemetry>, _: &Grants) -> io::Result<Option<Arc<dyn Secure>>> {
        Ok(None)
    }
}
