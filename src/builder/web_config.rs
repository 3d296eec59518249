//! The web-config file in force: its rules, its TLS, read again when it changes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::header::{HeaderName, HeaderValue};

use crate::access::RateLimit;
use crate::access::credentials::Keyring;
use crate::authentication::Gate;
use crate::locks::Rules;
use crate::reload::{Files, Reload, Reloaded};
use crate::telemetry::Telemetry;
use crate::tls::{self, Part, Settings, Tls};
use crate::web_config::{self, Loaded, PemBytes, TlsSettings, WebConfig};

use super::locked::InForce;

/// A version of the file.
struct Version {
    rules: Arc<Rules>,
    tls: Option<tls::Loaded>,
    warnings: Vec<String>,
}

/// Reads the file, and looks after it from now on.
pub(super) fn open(path: PathBuf, telemetry: &Arc<Telemetry>) -> io::Result<InForce> {
    let has_tls = OnceLock::new();
    let (of_load, of_report) = (Arc::clone(telemetry), Arc::clone(telemetry));
    let load = move |files: &mut Files| load(&path, files, &has_tls, &of_load);
    let report = move |reloaded: Reloaded<'_, Version, io::Error>| match reloaded {
        Reloaded::Good(version) => {
            tracing::info!("the web-config file has been read again");
            put_in_force(version, &of_report);
        }
        Reloaded::Bad(error) => {
            tracing::warn!(%error, "cannot use the new web-config file; keeping the last good one");
            of_report.web_config_reload_failed();
        }
        Reloaded::Panicked => {
            tracing::warn!("cannot read the new web-config file; keeping the last good one");
            of_report.web_config_reload_failed();
        }
    };
    let reload = Arc::new(Reload::new(Instant::now(), load, report)?);
    let first = reload.last();
    put_in_force(&first, telemetry);

    let tls = first.tls.as_ref().map(|first| {
        let (reload, first) = (Arc::clone(&reload), Arc::clone(&first.config));
        // A version without TLS does not come into force.
        let config = move || {
            let version = reload.current(Instant::now());
            version.tls.as_ref().map_or_else(|| Arc::clone(&first), |tls| Arc::clone(&tls.config))
        };
        Arc::new(Tls::of(config))
    });
    let rules = move || Arc::clone(&reload.current(Instant::now()).rules);
    Ok(InForce { rules: Box::new(rules), tls })
}

fn put_in_force(version: &Version, telemetry: &Telemetry) {
    telemetry.web_config_loaded();
    if let Some(tls) = &version.tls {
        telemetry.certificate_loaded(tls.not_after);
    }
    for warning in &version.warnings {
        tracing::warn!("{warning}");
    }
}

fn load(
    path: &Path,
    files: &mut Files,
    has_tls: &OnceLock<bool>,
    telemetry: &Arc<Telemetry>,
) -> io::Result<Version> {
    let Loaded { config, pem } = web_config::load(path, files)?;
    let WebConfig { tls, http2, headers, users, rate_limit, warnings } = config;
    let tls = match (tls, pem) {
        (Some(settings), Some(pem)) => Some(secure(path, settings, pem, http2)?),
        _ => None,
    };
    // Nobody's port turns from secured to open because of a file that was emptied by mistake.
    if *has_tls.get_or_init(|| tls.is_some()) != tls.is_some() {
        let sentence = format!(
            "web_config: {}: whether there is TLS is settled when the server starts: restart it",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, sentence));
    }
    let mut keyring = Keyring::default();
    // A name that no client can send is a fault of the keyring's, which the reader has warned of: it locks the door all the
    // same, and nobody gets in by it.
    for (name, hash) in &users {
        keyring.push_user(name, hash.expose());
    }
    let rate_limit = rate_limit.map(|limit| RateLimit::new(limit.interval, limit.burst));
    // Whatever a header's value may be, the file's reader has let nothing else pass.
    let header = |(name, value): (&'static str, String)| {
        Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
    };
    let headers = headers.into_iter().filter_map(header).collect();
    let rules = Rules::new(Gate::of(keyring, telemetry), rate_limit, headers, telemetry);
    Ok(Version { rules: Arc::new(rules), tls, warnings })
}

fn secure(path: &Path, options: TlsSettings, pem: PemBytes, http2: bool) -> io::Result<tls::Loaded> {
    let PemBytes { cert, key, client_ca } = pem;
    let settings = Settings {
        client_auth: options.client_auth,
        client_ca,
        allowed_sans: options.client_allowed_sans.clone(),
        min_version: options.min_version,
        max_version: options.max_version,
        suites: options.cipher_suites.iter().map(|suite| suite.id).collect(),
        prefer_own_order: options.prefer_server_cipher_suites,
        groups: options.curve_preferences.iter().map(|curve| curve.id).collect(),
        http2,
        ..Settings::new(cert, key)
    };
    tls::load(settings).map_err(|fault| {
        let error = match (fault.part, &options.client_ca) {
            (Part::Key, _) => options.key.error(path, &fault.what),
            (Part::ClientCa, Some(client_ca)) => client_ca.error(path, &fault.what),
            _ => options.cert.error(path, &fault.what),
        };
        io::Error::from(error)
    })
}
