//! Options of how connections are secured.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;

use super::Builder;
use crate::net::stream::Secure;
use crate::net::tls::{Paths, Tls};
#[cfg(feature = "web-config")]
use crate::web_config;

impl Builder {
    /// Secures all connections with this configuration of rustls, unchanged.
    ///
    /// The server speaks HTTP/1.1, and a handshake may take 10 seconds. [`bind`](Self::bind) refuses `alpn_protocols` other than
    /// `http/1.1`, and early data, which can be replayed.
    ///
    /// The server's own limit of four intermediate certificates does not apply to a client verifier of this configuration. rustls'
    /// `WebPkiClientVerifier` accepts any number of them. Anybody who can connect can then keep the server busy for seconds with one
    /// handshake.
    ///
    /// Default: plain HTTP.
    pub fn tls_config(mut self, config: Arc<ServerConfig>) -> Self {
        let tls = Tls::given(config);
        self.faults.check("tls_config", tls.as_ref().err().map(ToString::to_string));
        self.faults.of_server("tls_config");
        self.access.tls = tls.ok().map(|tls| Arc::new(tls) as Arc<dyn Secure>);
        self
    }

    /// Secures all connections with the certificate chain and the key in these files, in PEM.
    ///
    /// TLS is rustls and `ring`: 1.2 and 1.3, no resumption, no early data. A client that speaks plain HTTP gets a 400 that says so. The
    /// server reads [files that change](crate::guide#files-that-change) again.
    ///
    /// Default: plain HTTP.
    pub fn tls_files(mut self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (certificates, key) = (absolute(certificates), absolute(key));
        self.access.tls_files = Some(Box::new(|client_ca, telemetry, grants| {
            Ok(Arc::new(Tls::from_files(Paths { certificates, key, client_ca }, telemetry, grants)?))
        }));
        self.faults.of_server("tls_files");
        self
    }

    /// Admits only clients with a certificate of a CA in this file, in PEM; needs [`tls_files`](Self::tls_files).
    ///
    /// The server reads the first four intermediate certificates that a client sends, and ignores others. When the file changes, the
    /// connections that were admitted before end: see [files that change](crate::guide#files-that-change).
    ///
    /// Default: clients are not asked for certificates.
    pub fn tls_client_ca(mut self, certificates: impl Into<PathBuf>) -> Self {
        self.access.tls_client_ca = Some(absolute(certificates));
        self.faults.of_server("tls_client_ca");
        self
    }

    /// Reads TLS and access control from this file: the
    /// [web-config file](https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md) of Prometheus' exporters.
    ///
    /// It replaces `tls_files`, `bearer_token`, `basic_auth`, `rate_limit` and the like, and [`bind`](Self::bind) refuses both
    /// together. It is strict: an unknown key is an error that names file, line and key. The server reads it again when it changes, but
    /// no new version takes a protection away. The [guide](crate::guide#the-web-config-file) has the rules.
    ///
    /// Default: none.
    #[cfg(feature = "web-config")]
    pub fn web_config(self, path: impl Into<PathBuf>) -> Self {
        self.web_config_of("web_config", path.into())
    }

    /// The file that this option or flag names.
    #[cfg(feature = "web-config")]
    pub(super) fn web_config_of(mut self, option: &'static str, path: PathBuf) -> Self {
        let (file, path) = (format!("{option}: {}", path.display()), absolute(path));
        let open = move |telemetry: &_, grants: &_| web_config::open(path, option, telemetry, grants);
        self.access.web_config = Some((file, Box::new(open)));
        self
    }
}

/// Makes a path absolute, because the host program may change its working directory before a file changes.
fn absolute(path: impl Into<PathBuf>) -> PathBuf {
    let path = path.into();
    std::path::absolute(&path).unwrap_or(path)
}
