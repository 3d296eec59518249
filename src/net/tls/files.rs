//! Certificate, key and client CA in files, reloaded when they change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::settings::{self, ClientAuth, LoadedTls, Settings, TlsPart};
use crate::auth::grants::Grants;
use crate::telemetry::Telemetry;
use crate::util::io_error;
use crate::util::reload::{self, Reload, Reloaded};

/// Paths of the files.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) certificates: PathBuf,
    pub(crate) key: PathBuf,
    /// If set, clients must have a certificate of this CA.
    pub(crate) client_ca: Option<PathBuf>,
}

/// The last good content of the files.
pub(super) struct FromFiles {
    pub(super) loaded: LoadedTls,
    /// The text of the CA's file, unparsed.
    client_ca: Option<Vec<u8>>,
}

pub(super) fn open(
    paths: Paths,
    now: Instant,
    telemetry: &Arc<Telemetry>,
    grants: &Grants,
) -> io::Result<Reload<FromFiles, io::Error>> {
    let (told, grants) = (Arc::clone(telemetry), grants.clone());
    let report = move |before: &FromFiles, version: Reloaded<'_, FromFiles, io::Error>| {
        match &version {
            Reloaded::Good { value: version, .. } => {
                if version.client_ca != before.client_ca {
                    grants.revoke();
                }
                told.certificate_loaded(version.loaded.not_after);
            }
            // While certificate and key are replaced one after the other, they do not match.
            Reloaded::Bad(_) | Reloaded::Panicked => told.certificate_reload_failed(),
        }
        // Last, because a subscriber of the host program may panic.
        version.log("certificate");
    };
    let reload = Reload::new(now, move |files, _| load(&paths, files), report)?;
    telemetry.certificate_loaded(reload.last().loaded.not_after);
    Ok(reload)
}

fn load(paths: &Paths, files: &mut reload::Files) -> io::Result<FromFiles> {
    let mut read = |option: &str, path: &Path| {
        files
            .read(path)
            .map_err(|error| io_error::annotated(error, format_args!("{option}: {}", path.display())))
    };
    // Read all files even if one fails: a file that is not read is not watched.
    let certificates = read("tls_files", &paths.certificates);
    let key = read("tls_files", &paths.key);
    let client_ca = paths.client_ca.as_deref().map(|path| read("tls_client_ca", path));
    let mut settings = Settings::new(certificates?, key?);
    let client_ca = client_ca.transpose()?;
    if client_ca.is_some() {
        settings.client_ca.clone_from(&client_ca);
        settings.client_auth = ClientAuth::RequireAndVerifyClientCert;
    }
    let loaded = settings::load(settings).map_err(|fault| {
        let (option, path) = match fault.part {
            TlsPart::Certificates => ("tls_files", Some(&paths.certificates)),
            TlsPart::Key => ("tls_files", Some(&paths.key)),
            TlsPart::ClientCa => ("tls_client_ca", paths.client_ca.as_ref()),
            TlsPart::Options => ("tls_files", None),
        };
        let path = path.map(|path| format!("{}: ", path.display())).unwrap_or_default();
        io_error::new(io::ErrorKind::InvalidData, format!("{option}: {path}{}", fault.what))
    })?;
    Ok(FromFiles { loaded, client_ca })
}
