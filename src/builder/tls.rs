//! How connections are secured.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;

use crate::auth::grants::Grants;
use crate::net::stream::Secure;
use crate::net::tls::{Paths, Tls};
use crate::telemetry::Telemetry;

#[derive(Debug, Default)]
pub(super) struct TlsOptions {
    pub(super) given: Option<Arc<ServerConfig>>,
    /// Certificate and key.
    pub(super) files: Option<(PathBuf, PathBuf)>,
    pub(super) client_ca: Option<PathBuf>,
}

impl TlsOptions {
    /// What makes no sense, beginning with the option's name.
    pub(super) fn fault(&self) -> Option<String> {
        let fault = match (&self.given, &self.files, &self.client_ca) {
            (Some(_), Some(_), _) => "tls_files: stands beside tls_config, which has a certificate already",
            (Some(_), None, Some(_)) => {
                "tls_client_ca: stands beside tls_config, whose verifier it can not be"
            }
            (None, None, Some(_)) => "tls_client_ca: without tls_files there is no TLS to verify clients in",
            _ => return None,
        };
        Some(fault.to_owned())
    }

    pub(super) fn is_set(&self) -> bool {
        self.given.is_some() || self.files.is_some() || self.client_ca.is_some()
    }

    /// Whether it comes from files, which are read again when they change.
    pub(super) fn has_files(&self) -> bool {
        self.files.is_some()
    }

    /// A change of the CA revokes the grants.
    pub(super) fn open(
        self,
        telemetry: &Arc<Telemetry>,
        grants: &Grants,
    ) -> io::Result<Option<Arc<dyn Secure>>> {
        let TlsOptions { given, files, client_ca } = self;
        let tls = match (given, files) {
            (Some(config), _) => Tls::given(config)?,
            (None, Some((certificates, key))) => {
                Tls::from_files(Paths { certificates, key, client_ca }, telemetry, grants)?
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Arc::new(tls)))
    }
}
