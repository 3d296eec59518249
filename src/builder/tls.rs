//! Options of how connections are secured.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;

use super::Builder;
use super::options::access::OpenTls;
#[cfg(feature = "web-config")]
use super::options::access::OpenWebConfig;
use crate::net::stream::Secure;
use crate::net::tls::{Paths, Tls};
#[cfg(feature = "web-config")]
use crate::web_config;

impl Builder {
    /// Secures all connections with this configuration of rustls, unchanged: its provider of cryptography, versions, certificates and
    /// verifiers. Default: plain HTTP.
    ///
    /// The server speaks HTTP/1.1. A handshake may take 10 seconds. [`bind`](Self::bind) refuses `alpn_protocols` other than `http/1.1`,
    /// and early data, which can be replayed.
    pub fn tls_config(mut self, config: Arc<ServerConfig>) -> Self {
        let tls = Tls::given(config);
        self.faults.check("tls_config", tls.as_ref().err().map(ToString::to_string));
        self.faults.of_server("tls_config");
        self.access.tls = tls.ok().map(|tls| Arc::new(tls) as Arc<dyn Secure>);
        self
    }

    /// Secures all connections with the certificate chain and the key in these files, in PEM, with rustls and `ring`: TLS 1.2 and
    /// 1.3, no resumption, no early data. Default: plain HTTP.
    ///
    /// The files are read again when they change; the server looks once a second. A new version counts once two looks in a row have seen the
    /// same bytes, so a file that is being written does not count. One that cannot be used leaves the last good one in force, is logged once, and shows in
    /// `prometheus_exporter_tls_certificate_reload_success`. `prometheus_exporter_tls_certificate_expiry_timestamp_seconds`
    /// shows until when the certificate is valid. A client that speaks plain HTTP gets a 400 that says so.
    pub fn tls_files(mut self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (certificates, key) = (certificates.into(), key.into());
        let open: Box<OpenTls> = Box::new(|client_ca, telemetry, grants| {
            let tls = Tls::from_files(Paths { certificates, key, client_ca }, telemetry, grants)?;
            Ok(Arc::new(tls))
        });
        self.access.tls_files = Some(open);
        self.faults.of_server("tls_files");
        self
    }

    /// Admits only clients that show a certificate of a CA in this file, in PEM; with [`tls_files`](Self::tls_files), and read again as
    /// those are. Default: clients are not asked for certificates.
    ///
    /// When the file changes, the connections that were admitted before end: idle ones at once, the others after the response in flight,
    /// which carries `Connection: close`. Prometheus connects again.
    pub fn tls_client_ca(mut self, certificates: impl Into<PathBuf>) -> Self {
        self.access.tls_client_ca = Some(certificates.into());
        self.faults.of_server("tls_client_ca");
        self
    }

    /// Reads TLS and access control from this file: the
    /// [web-config file](https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md) that Prometheus
    /// and its exporters share, all of its keys. Default: none. The key `http2` is accepted and has no effect: HTTP/1.1 is
    /// what is spoken.
    ///
    /// It takes the place of [`tls_files`](Self::tls_files), [`bearer_token`](Self::bearer_token),
    /// [`basic_auth`](Self::basic_auth), [`rate_limit`](Self::rate_limit) and their kin, beside which `bind` refuses it. It is
    /// strict: what upstream would ignore or do otherwise than written is an error that names file, line and key. A user whose hash has
    /// a cost above 16 is a warning, as upstream accepts it; that user cannot log in.
    ///
    /// It and the files it names are read again when they change; the server looks once a second, a mounted handler at a
    /// request. A new version counts once two looks in a row have seen the same bytes, so a file that is being written does
    /// not count; the first version counts at once. One that cannot be used leaves the last good one in force, is logged once,
    /// and shows in `prometheus_exporter_web_config_reload_success`.
    ///
    /// A version that takes away a protection of the one in force, or turns TLS on, cannot be used either: a file that was
    /// cut or emptied by mistake is well-formed. Restart the program for these changes. Everything else follows the file.
    ///
    /// When the client CA, `client_auth_type` or the allowed names change, or a user is gone or has another password, the
    /// connections that were admitted before end. Idle connections close at once. A connection with a request in flight closes
    /// after its response, which carries `Connection: close`.
    ///
    /// | protection | needs a restart | follows the file |
    /// | --- | --- | --- |
    /// | `tls_server_config` | TLS on or off | certificates, versions, cipher suites |
    /// | `client_auth_type` | no certificate demanded, or none verified, where it was | another CA, a stricter type |
    /// | `client_allowed_sans` | no list where there was one | another list, a longer one, too |
    /// | `basic_auth_users` | no user where there was one, or only users who cannot log in | other users, fewer users, other passwords |
    /// | `rate_limit` | no limit where there was one | another limit |
    #[cfg(feature = "web-config")]
    pub fn web_config(self, path: impl Into<PathBuf>) -> Self {
        self.web_config_of("web_config", path.into())
    }

    /// The file that this option or flag names.
    #[cfg(feature = "web-config")]
    pub(super) fn web_config_of(mut self, option: &'static str, path: PathBuf) -> Self {
        let file = format!("{option}: {}", path.display());
        let open: Box<OpenWebConfig> =
            Box::new(move |telemetry, grants| web_config::open(path, option, telemetry, grants));
        self.access.web_config = Some((file, open));
        self
    }
}
