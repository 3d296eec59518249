//! The web-config file of Prometheus and its exporters: TLS, users, headers, a rate limit.
//!
//! Source: <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>, and its
//! `web/tls_config.go` and `web/handler.go` for details. This module is stricter only where they silently ignore a
//! setting or deviate from its text.

mod duration;
mod in_force;
mod problem;
mod protection;
mod secret;
mod section;
mod tables;
#[cfg(test)]
mod tests;
mod tls;
mod yaml;

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};

use crate::auth::credentials::{UnusableHash, check_hash};
use crate::net::tls::ClientAuth;
use crate::util::io_error;
use crate::util::reload::Files;

pub(crate) use in_force::open;
pub(crate) use protection::Protection;
pub(crate) use secret::Secret;
pub(crate) use tls::{Pem, PemSource, TlsSettings};

use problem::{Problem, error_of};
use section::{Field, Section};

/// A checked web-config file. An empty one means plain HTTP without access control.
#[derive(Debug)]
pub(crate) struct WebConfig {
    /// `None`: plain HTTP.
    pub(crate) tls: Option<TlsSettings>,
    /// Headers of every response. Values of visible ASCII, blanks and tabs.
    pub(crate) headers: Headers,
    /// Names and bcrypt hashes. Empty: requests need no credentials.
    pub(crate) users: Vec<(String, Secret)>,
    pub(crate) rate_limit: Option<RateLimit>,
    /// Warnings for the log, once per version of the file.
    pub(crate) warnings: Vec<String>,
}

/// Names and values.
pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

/// A bucket that holds `burst` tokens and regains one per `interval`. A request takes one, or gets a 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// Never zero.
    pub(crate) interval: Duration,
    /// Zero rejects every request.
    pub(crate) burst: u32,
}

/// A web-config file with the content of all files that it names.
#[derive(Debug)]
pub(crate) struct LoadedConfig {
    pub(crate) config: WebConfig,
    /// Set if `config.tls` is set.
    pub(crate) pem: Option<PemBytes>,
}

/// The bytes of [`TlsSettings`]' sources, unparsed.
pub(crate) struct PemBytes {
    pub(crate) cert: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) client_ca: Option<Vec<u8>>,
}

const KEYS: &[&str] = &["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];

/// Configurable headers, in lower case too, and their allowed values. Empty: any value.
const HEADERS: &[(&str, &str, &[&str])] = &[
    ("Strict-Transport-Security", "strict-transport-security", &[]),
    ("X-Content-Type-Options", "x-content-type-options", &["nosniff"]),
    ("X-Frame-Options", "x-frame-options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", "x-xss-protection", &[]),
    ("Content-Security-Policy", "content-security-policy", &[]),
];

/// Parses the text of a web-config file. Reads no other files, so the files that it names need not exist.
///
/// # Errors
///
/// Returns the first fault as `InvalidInput`, with `file`, the line and the key.
pub(crate) fn parse(file: &str, text: &str) -> io::Result<WebConfig> {
    let config = read(file, text)?;
    config.check(file)?;
    Ok(config)
}

/// Parses a text for fuzzing. Returns the number of users, and whether anything is configured. Returns faults as the
/// log would print them.
#[doc(hidden)]
pub fn check(text: &str) -> Result<(usize, bool), String> {
    let config = parse("web.yml", text).map_err(|error| error.to_string())?;
    let WebConfig { tls, headers, users, rate_limit, warnings: _ } = config;
    let nothing = tls.is_none() && headers.is_empty() && users.is_empty() && rate_limit.is_none();
    Ok((users.len(), !nothing))
}

/// Reads a web-config file and the files that it names. Their paths are relative to its folder.
///
/// # Errors
///
/// Returns the first fault, with the file, the line and the key. Returns the system's error if a file cannot be read.
pub(crate) fn load(path: &Path, files: &mut Files) -> io::Result<LoadedConfig> {
    let file = path.display().to_string();
    let bytes = files.read(path).map_err(|error| io_error::annotated(error, &file))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        error_of(&file, &Problem::new(line, "not UTF-8"))
    })?;
    let config = read(&file, text)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let pem = config.tls.as_ref().map(|tls| tls.pem(&file, folder, files)).transpose();
    // A path that does not exist is the more likely mistake, and upstream's first error too.
    if !pem.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        config.check(&file)?;
    }
    Ok(LoadedConfig { pem: pem?, config })
}

/// Parses a text without the checks of [`WebConfig::check`].
fn read(file: &str, text: &str) -> io::Result<WebConfig> {
    let (mut config, warnings) = sections(text).map_err(|problem| error_of(file, &problem))?;
    config.warnings = warnings.iter().map(|warning| format!("{file}:{warning}")).collect();
    Ok(config)
}

fn sections(text: &str) -> Result<(WebConfig, Vec<Problem>), Problem> {
    let document = yaml::read(text)?;
    let root = Section::root(document.as_ref(), KEYS)?;
    let mut warnings = Vec::new();
    let tls = tls::read(root.get("tls_server_config"), &mut warnings)?;
    let headers = http(root.get("http_server_config"))?;
    let users = users(root.get("basic_auth_users"), &mut warnings)?;
    let rate_limit = rate_limit(root.get("rate_limit"), &mut warnings)?;
    Ok((WebConfig { tls, headers, users, rate_limit, warnings: Vec::new() }, warnings))
}

fn http(field: Option<Field<'_>>) -> Result<Headers, Problem> {
    let section = Section::new("http_server_config", field, &["http2", "headers"])?;
    // Checked but without effect, because the server uses HTTP/1.1 only.
    section.get("http2").map_or(Ok(true), |field| field.boolean())?;
    let names: Vec<&str> = HEADERS.iter().map(|(name, ..)| *name).collect();
    let unknown = || format!("this header cannot be configured; expected one of {}", names.join(", "));
    let section =
        Section::free("http_server_config.headers", section.get("headers"))?.of(&names, &unknown)?;
    let mut headers = Headers::new();
    for (name, lower, values) in HEADERS {
        // "Unset if blank."
        let Some((field, value)) = section.filled(name)? else { continue };
        if !values.is_empty() && !values.contains(&value) {
            return Err(field.problem(format!("must be {}", values.join(" or "))));
        }
        // RFC 9110, section 5.5. Recipients cannot interpret other bytes.
        let Some(value) = HeaderValue::from_str(value).ok().filter(|value| value.to_str().is_ok()) else {
            return Err(field.problem("invalid header value (expected visible ASCII, blanks and tabs)"));
        };
        headers.push((HeaderName::from_static(lower), value));
    }
    Ok(headers)
}

fn users(field: Option<Field<'_>>, warnings: &mut Vec<Problem>) -> Result<Vec<(String, Secret)>, Problem> {
    let section = Section::free("basic_auth_users", field)?;
    let mut users = Vec::new();
    for (name, field) in section.fields() {
        let hash = field.text()?;
        match check_hash(hash) {
            Ok(()) => {}
            // Upstream accepts it, so the file stays valid. The server would verify unknown users at a lower cost
            // than this one.
            Err(error @ UnusableHash::TooCostly(_)) => {
                warnings.push(field.problem(format!("{error}; this user cannot log in")));
            }
            Err(_) => {
                let what = "not a bcrypt hash (expected a $2a$, $2b$ or $2y$ prefix and 60 characters)";
                return Err(field.problem(what));
            }
        }
        // RFC 7617, section 2: "a user-id containing a colon character is invalid". Control characters are invalid
        // too.
        if name.contains(':') {
            warnings.push(field.problem("a user with a colon in the name cannot log in"));
        } else if name.contains(char::is_control) {
            warnings.push(field.problem("a user with a control character in the name cannot log in"));
        }
        users.push((name.to_owned(), Secret::new(hash)));
    }
    Ok(users)
}

fn rate_limit(field: Option<Field<'_>>, warnings: &mut Vec<Problem>) -> Result<Option<RateLimit>, Problem> {
    let Some(here) = field else { return Ok(None) };
    let section = Section::new("rate_limit", field, &["interval", "burst"])?;
    let interval = section.get("interval").map(|field| {
        let what = "not a duration such as 1s or 1m30s (expected numbers with units h, m, s, ms, us, ns; 0 is no limit)";
        duration::duration(field.text()?).ok_or_else(|| field.problem(what))
    });
    let interval = interval.transpose()?;
    let burst = section.get("burst").map(|field| field.number()).transpose()?;
    let Some(interval) = interval else {
        if burst.is_some() {
            warnings.push(here.problem("a burst without an interval has no effect"));
        }
        return Ok(None);
    };
    if interval.is_zero() {
        return Ok(None);
    }
    let burst = burst.unwrap_or_else(|| {
        warnings.push(here.problem("without a burst, 1 is used (exporter-toolkit rejects every request)"));
        1
    });
    Ok(Some(RateLimit { interval, burst }))
}

impl WebConfig {
    /// Makes the checks that upstream makes after reading the files.
    fn check(&self, file: &str) -> io::Result<()> {
        match &self.tls {
            Some(TlsSettings { client_ca: Some(ca), client_auth: ClientAuth::NoClientCert, .. }) => {
                let what = "client CA without a client auth type; expected client_auth_type: RequireAndVerifyClientCert";
                Err(ca.error(Path::new(file), what))
            }
            _ => Ok(()),
        }
    }
}

impl TlsSettings {
    fn pem(&self, file: &str, folder: &Path, files: &mut Files) -> io::Result<PemBytes> {
        let mut bytes = |source: &PemSource| match &source.pem {
            Pem::Inline(secret) => Ok(secret.expose().as_bytes().to_vec()),
            Pem::File(path) => {
                let path = folder.join(path);
                files.read(&path).map_err(|error| {
                    let location = format!("{file}:{}: {}", source.problem(String::new()), path.display());
                    io_error::annotated(error, location)
                })
            }
        };
        Ok(PemBytes {
            cert: bytes(&self.cert)?,
            key: bytes(&self.key)?,
            client_ca: self.client_ca.as_ref().map(bytes).transpose()?,
        })
    }
}

impl PemSource {
    /// Returns the error of a fault in the PEM of this source. `what` must not quote the PEM.
    pub(crate) fn error(&self, path: &Path, what: impl Into<String>) -> io::Error {
        error_of(&path.display().to_string(), &self.problem(what))
    }

    fn problem(&self, what: impl Into<String>) -> Problem {
        Problem::within(self.line, tls::PATH, self.key, what)
    }
}

impl fmt::Debug for PemBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemBytes").finish_non_exhaustive()
    }
}
