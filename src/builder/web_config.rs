//! The web-config file in force: its rules, its TLS, read again when it changes.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::header::{HeaderName, HeaderValue};

use crate::access::RateLimit;
use crate::access::credentials::Keyring;
use crate::authentication::Gate;
use crate::io_error;
use crate::locks::Rules;
use crate::reload::{Files, Reload, Reloaded};
use crate::telemetry::Telemetry;
use crate::tls::{self, ClientAuth, Part, Settings, Tls};
use crate::unwind::caught;
use crate::web_config::{self, Loaded, PemBytes, Secret, TlsSettings, WebConfig};

use super::locked::{ConfigFile, InForce};

/// A version of the file.
struct Version {
    rules: Arc<Rules>,
    tls: Option<tls::Loaded>,
    verifies_clients: bool,
    warnings: Vec<String>,
}

/// Reads the file, and looks after it from now on.
pub(super) fn open(file: ConfigFile, telemetry: &Arc<Telemetry>) -> io::Result<InForce> {
    let ConfigFile { path, option } = file;
    let held = Mutex::default();
    let (of_load, of_report) = (Arc::clone(telemetry), Arc::clone(telemetry));
    let load = move |files: &mut Files| {
        load(&path, files, &held, &of_load).map_err(|error| io_error::annotated(error, option))
    };
    let report = move |reloaded: Reloaded<'_, Version, io::Error>| {
        reloaded.log("web-config file");
        match reloaded {
            Reloaded::Good(version) => put_in_force(version, option, &of_report),
            Reloaded::Bad(_) | Reloaded::Panicked => of_report.web_config_reload_failed(),
        }
    };
    let reload = Arc::new(Reload::new(Instant::now(), load, report)?);
    let first = reload.last();
    put_in_force(&first, option, telemetry);

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
    let verifies_clients = first.verifies_clients;
    Ok(InForce { rules: Box::new(rules), tls, verifies_clients })
}

fn put_in_force(version: &Version, option: &str, telemetry: &Telemetry) {
    telemetry.web_config_loaded();
    if let Some(tls) = &version.tls {
        telemetry.certificate_loaded(tls.not_after);
    }
    for warning in &version.warnings {
        caught(|| tracing::warn!("{option}: {warning}"));
    }
}

/// What the last good version has kept others out with.
#[derive(Default)]
struct Held {
    tls: bool,
    verifies_clients: bool,
    users: Users,
    /// Of these users. It goes on with them, for it knows who was right, and who has guessed.
    gate: Option<Arc<Gate>>,
}

type Users = Vec<(String, Secret)>;

fn load(
    path: &Path,
    files: &mut Files,
    held: &Mutex<Option<Held>>,
    telemetry: &Arc<Telemetry>,
) -> io::Result<Version> {
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    let version = load_beside(path, files, &mut held, telemetry);
    // Which of the files it was that could not be used is in the log.
    if version.is_err() && held.as_ref().is_some_and(|held| held.tls) {
        telemetry.certificate_reload_failed();
    }
    version
}

fn load_beside(
    path: &Path,
    files: &mut Files,
    held: &mut Option<Held>,
    telemetry: &Arc<Telemetry>,
) -> io::Result<Version> {
    let Loaded { config, pem } = web_config::load(path, files)?;
    let WebConfig { tls, headers, users, rate_limit, warnings } = config;
    let verifies = |tls: &TlsSettings| {
        !matches!(tls.client_auth, ClientAuth::NoClientCert | ClientAuth::RequestClientCert)
    };
    let verifies_clients = tls.as_ref().is_some_and(verifies);
    let tls = match (tls, pem) {
        (Some(settings), Some(pem)) => Some(secure(path, settings, pem)?),
        _ => None,
    };
    // An editor that writes in place shows an empty file for a moment, and half a file; nobody's door opens for that.
    let taken_away = held.as_ref().and_then(|held| {
        let table = [
            (held.tls != tls.is_some(), "whether there is TLS"),
            (held.verifies_clients && !verifies_clients, "that clients' certificates are verified"),
            (!held.users.is_empty() && users.is_empty(), "that there are users"),
        ];
        table.into_iter().find_map(|(taken_away, what)| taken_away.then_some(what))
    });
    if let Some(what) = taken_away {
        let sentence = format!(
            "{}: {what} is settled when the server starts: restart it to change that",
            path.display()
        );
        return Err(io_error::new(io::ErrorKind::InvalidData, sentence));
    }
    let gate = match held.take_if(|held| held.users == users) {
        Some(held) => held.gate,
        None => Gate::of(keyring(&users), telemetry).map(Arc::new),
    };
    *held = Some(Held { tls: tls.is_some(), verifies_clients, users, gate: gate.clone() });
    let rate_limit = rate_limit.map(|limit| RateLimit::new(limit.interval, limit.burst));
    // Whatever a header's value may be, the file's reader has let nothing else pass.
    let header = |(name, value): (&'static str, String)| {
        Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
    };
    let headers = headers.into_iter().filter_map(header).collect();
    let rules = Rules::new(gate, rate_limit, headers, telemetry);
    Ok(Version { rules: Arc::new(rules), tls, verifies_clients, warnings })
}

/// A name that no client can send is a fault of the keyring's, which the reader has warned of: it locks the door all the
/// same, and nobody gets in by it.
fn keyring(users: &Users) -> Keyring {
    let mut keyring = Keyring::default();
    for (name, hash) in users {
        keyring.push_user(name, hash.expose());
    }
    keyring
}

fn secure(path: &Path, options: TlsSettings, pem: PemBytes) -> io::Result<tls::Loaded> {
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
        (Part::Key, _) => options.key.error(path, &fault.what),
        (Part::ClientCa, Some(client_ca)) => client_ca.error(path, &fault.what),
        _ => options.cert.error(path, &fault.what),
    })
}
