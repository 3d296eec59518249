//! The current web-config file with its policy and TLS, reloaded when it changes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::auth::authenticator::Authenticator;
use crate::auth::credentials::Credentials;
use crate::auth::grants::Grants;
use crate::auth::rate_limit::RateLimiter;
use crate::http::access::{Policies, Policy};
use crate::net::stream::Secure;
use crate::net::tls::{self, Settings, Tls, TlsPart};
use crate::telemetry::Telemetry;
use crate::util::io_error;
use crate::util::reload::{Files, Reload, Reloaded};
use crate::util::unwind::caught;
use crate::web_config::{self, LoadedConfig, PemBytes, Protection, Secret, TlsSettings, WebConfig};

/// A version of the file.
struct Version {
    policy: Arc<Policy>,
    tls: Option<tls::LoadedTls>,
    protection: Protection,
    warnings: Vec<String>,
}

/// The policy, and the TLS layer if the file has one.
type Opened = (Arc<dyn Policies>, Option<Arc<dyn Secure>>);

/// Loads the file, and reloads it when it changes. `option` is the option or flag that names it.
pub(crate) fn open(
    path: PathBuf,
    option: &'static str,
    telemetry: &Arc<Telemetry>,
    grants: &Grants,
) -> io::Result<Opened> {
    let grants = grants.clone();
    let (of_load, of_report) = (Arc::clone(telemetry), Arc::clone(telemetry));
    let load = move |files: &mut Files, in_force: Option<&Version>| {
        load(&path, files, in_force, &of_load).map_err(|error| io_error::annotated(error, option))
    };
    let report = move |before: &Version, reloaded: Reloaded<'_, Version, io::Error>| {
        match &reloaded {
            Reloaded::Good { value: version, .. } => {
                if before.protection.is_revoked_by(&version.protection) {
                    grants.revoke();
                }
                tell(version, &of_report);
            }
            Reloaded::Bad(_) | Reloaded::Panicked => {
                of_report.web_config_reloaded(false);
                // The log names the file that could not be used.
                if before.tls.is_some() {
                    of_report.certificate_reload_failed();
                }
            }
        }
        // Last, because a layer of the host may panic.
        reloaded.log("web-config file");
        match reloaded {
            Reloaded::Good { value, .. } if value.warnings != before.warnings => warn(value, option),
            _ => {}
        }
    };
    let reload = Arc::new(Reload::new(Instant::now(), load, report)?);
    let first = reload.last();
    tell(&first, telemetry);
    warn(&first, option);

    let tls = first.tls.as_ref().map(|first| {
        let (reload, first) = (Arc::clone(&reload), Arc::clone(&first.config));
        // The protection check rejects versions without TLS.
        let config = move || {
            let version = reload.last();
            version.tls.as_ref().map_or_else(|| Arc::clone(&first), |tls| Arc::clone(&tls.config))
        };
        Arc::new(Tls::of(config, || ())) as Arc<dyn Secure>
    });
    Ok((reload, tls))
}

impl Policies for Reload<Version, io::Error> {
    fn current(&self) -> Arc<Policy> {
        Arc::clone(&self.last().policy)
    }

    fn check_files(&self) {
        self.look(Instant::now());
    }
}

fn tell(version: &Version, telemetry: &Telemetry) {
    telemetry.web_config_reloaded(true);
    if let Some(tls) = &version.tls {
        telemetry.certificate_loaded(tls.not_after);
    }
}

fn warn(version: &Version, option: &str) {
    for warning in &version.warnings {
        caught(|| tracing::warn!("{option}: {warning}"));
    }
}

fn load(
    path: &Path,
    files: &mut Files,
    in_force: Option<&Version>,
    telemetry: &Arc<Telemetry>,
) -> io::Result<Version> {
    let loaded = web_config::load(path, files)?;
    let credentials = credentials(&loaded.config.users);
    let protection = Protection::of(&loaded, &credentials);
    let LoadedConfig { config, pem } = loaded;
    let WebConfig { tls, headers, users: _, rate_limit, warnings } = config;
    let tls = match (tls, pem) {
        (Some(settings), Some(pem)) => Some(secure(path, settings, pem)?),
        _ => None,
    };
    if let Some(why) = in_force.and_then(|in_force| in_force.protection.refuses(&protection)) {
        let sentence = format!("{}: {why}; this change needs a restart", path.display());
        return Err(io_error::new(io::ErrorKind::InvalidData, sentence));
    }
    // Unchanged users keep their cached and failed logins, and an unchanged rate limit its bucket.
    let authenticator = match in_force.filter(|in_force| in_force.protection.has_users_of(&protection)) {
        Some(in_force) => in_force.policy.authenticator.clone(),
        None => Authenticator::of(credentials, telemetry).map(|authenticator| authenticator as _),
    };
    let rate_limit = match in_force.filter(|in_force| in_force.protection.has_rate_limit_of(&protection)) {
        Some(in_force) => in_force.policy.rate_limit.clone(),
        None => rate_limit.map(|limit| Arc::new(RateLimiter::new(limit.interval, limit.burst).into())),
    };
    let policy = Policy::new(authenticator, rate_limit, headers, telemetry);
    Ok(Version { policy: Arc::new(policy), tls, protection, warnings })
}

/// Returns the credentials of these users. Users that cannot log in are faults of the credentials, so credentials are
/// required even without other users. The parser has already warned about them.
fn credentials(users: &[(String, Secret)]) -> Credentials {
    let mut credentials = Credentials::default();
    for (name, hash) in users {
        credentials.add_user(name, hash.expose());
    }
    credentials
}

fn secure(path: &Path, options: TlsSettings, pem: PemBytes) -> io::Result<tls::LoadedTls> {
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
        ..Settings::new(cert, key)
    };
    tls::load(settings).map_err(|fault| match (fault.part, &options.client_ca) {
        (TlsPart::Key, _) => options.key.error(path, &fault.what),
        (TlsPart::ClientCa, Some(client_ca)) => client_ca.error(path, &fault.what),
        _ => options.cert.error(path, &fault.what),
    })
}

#[cfg(test)]
mod tests;
