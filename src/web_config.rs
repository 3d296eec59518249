//! The web-config file that Prometheus and its exporters share: TLS, users, headers, a rate limit.
//!
//! Source: <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>, and its
//! `web/tls_config.go` and `web/handler.go` where that is silent. Stricter than these only where they would do
//! something else than what is written, or nothing, without a word.

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

use crate::auth::credentials::{UnusableHash, check_hash};
use crate::net::tls::ClientAuth;
use crate::util::io_error;
use crate::util::reload::Files;

pub(crate) use in_force::open;
pub(crate) use protection::Protection;
pub(crate) use secret::Secret;
pub(crate) use tls::{Pem, Source, TlsSettings};

use problem::{Problem, error_of};
use section::{Field, Section};

/// A web-config file, checked. An empty one is plain HTTP, open to all.
#[derive(Debug)]
pub(crate) struct WebConfig {
    /// None: plain HTTP.
    pub(crate) tls: Option<TlsSettings>,
    /// For every response. Names in lower case, values of visible ASCII, blanks and tabs.
    pub(crate) headers: Headers,
    /// Names and bcrypt hashes; open to all if there are none.
    pub(crate) users: Vec<(String, Secret)>,
    pub(crate) rate_limit: Option<RateLimit>,
    /// For the log, once for each version of the file.
    pub(crate) warnings: Vec<String>,
}

/// Names and values.
pub(crate) type Headers = Vec<(&'static str, String)>;

/// A bucket that holds `burst` tokens and gets one more each `interval`; a request takes one, or gets a 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// Never zero.
    pub(crate) interval: Duration,
    /// Zero refuses every request.
    pub(crate) burst: u32,
}

/// A web-config file and all that it names.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: WebConfig,
    /// As long as `config.tls` is there.
    pub(crate) pem: Option<PemBytes>,
}

/// The bytes of [`TlsSettings`]' sources, not looked at.
pub(crate) struct PemBytes {
    pub(crate) cert: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) client_ca: Option<Vec<u8>>,
}

const KEYS: &[&str] = &["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];

/// Those that may be set, in lower case, and the values that they may have: any if there are none.
const HEADERS: &[(&str, &str, &[&str])] = &[
    ("Strict-Transport-Security", "strict-transport-security", &[]),
    ("X-Content-Type-Options", "x-content-type-options", &["nosniff"]),
    ("X-Frame-Options", "x-frame-options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", "x-xss-protection", &[]),
    ("Content-Security-Policy", "content-security-policy", &[]),
];

/// Reads a web-config file's text. Nothing else is read: the files that it names may not exist.
///
/// # Errors
///
/// The first thing that is wrong, with `file`, the line and the key: `InvalidInput`.
pub(crate) fn parse(file: &str, text: &str) -> io::Result<WebConfig> {
    let config = read(file, text)?;
    config.check(file)?;
    Ok(config)
}

/// What a text configures, for fuzzing: how many users, and whether anything at all. What is wrong is told as it would be in
/// the log.
#[doc(hidden)]
pub fn check(text: &str) -> Result<(usize, bool), String> {
    let config = parse("web.yml", text).map_err(|error| error.to_string())?;
    let WebConfig { tls, headers, users, rate_limit, warnings: _ } = config;
    let nothing = tls.is_none() && headers.is_empty() && users.is_empty() && rate_limit.is_none();
    Ok((users.len(), !nothing))
}

/// Reads a web-config file and the files that it names, whose paths are relative to its folder.
///
/// # Errors
///
/// The first thing that is wrong, with the file, the line and the key; the system's for a file that can not be read.
pub(crate) fn load(path: &Path, files: &mut Files) -> io::Result<Loaded> {
    let file = path.display().to_string();
    let bytes = files.read(path).map_err(|error| io_error::annotated(error, &file))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        error_of(&file, &Problem::new(line, "not UTF-8"))
    })?;
    let config = read(&file, text)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let pem = config.tls.as_ref().map(|tls| tls.pem(&file, folder, files)).transpose();
    // A path that does not exist is the likelier mistake, and upstream's first error, too.
    if !pem.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        config.check(&file)?;
    }
    Ok(Loaded { pem: pem?, config })
}

/// Reads a text, without the checks of [`WebConfig::check`].
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
    // Checked, and without effect: HTTP/1.1 is all that is served.
    section.get("http2").map_or(Ok(true), |field| field.boolean())?;
    let names: Vec<&str> = HEADERS.iter().map(|(name, ..)| *name).collect();
    let unknown = || format!("this header can not be configured; there are {}", names.join(", "));
    let section =
        Section::free("http_server_config.headers", section.get("headers"))?.of(&names, &unknown)?;
    let mut headers = Headers::new();
    for (name, lower, values) in HEADERS {
        let Some(field) = section.get(name) else { continue };
        // "Unset if blank."
        let Some(value) = field.filled()? else { continue };
        if !values.is_empty() && !values.contains(&value) {
            return Err(field.problem(format!("must be {}", values.join(" or "))));
        }
        // RFC 9110, section 5.5; of what is beyond ASCII a recipient can make nothing.
        if !value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
            return Err(field.problem("a header's value is of visible ASCII, blanks and tabs"));
        }
        headers.push((*lower, value.to_owned()));
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
            // Upstream accepts it, so the file may be used. An unknown user costs less than this one would.
            Err(error @ UnusableHash::TooCostly(_)) => {
                warnings.push(field.problem(format!("{error}; this user never gets in")));
            }
            Err(_) => {
                let what = "not a bcrypt hash, which begins with $2a$, $2b$ or $2y$ and has 60 characters";
                return Err(field.problem(what));
            }
        }
        // RFC 7617, section 2: "a user-id containing a colon character is invalid", and control characters are.
        if name.contains(':') {
            warnings.push(field.problem("a name with a colon never gets in"));
        } else if name.contains(char::is_control) {
            warnings.push(field.problem("a name with a control character never gets in"));
        }
        users.push((name.to_owned(), Secret::new(hash)));
    }
    Ok(users)
}

fn rate_limit(field: Option<Field<'_>>, warnings: &mut Vec<Problem>) -> Result<Option<RateLimit>, Problem> {
    let Some(here) = field else { return Ok(None) };
    let section = Section::new("rate_limit", field, &["interval", "burst"])?;
    let interval = match section.get("interval") {
        Some(field) => Some(duration::duration(field.text()?).ok_or_else(|| {
            field.problem(
                "no duration: numbers with the units h, m, s, ms, us, ns, such as 1s or 1m30s; 0 is no limit",
            )
        })?),
        None => None,
    };
    let burst = section.get("burst").map(|field| field.number()).transpose()?;
    let Some(interval) = interval else {
        if burst.is_some() {
            warnings.push(here.problem("without an interval nothing is limited"));
        }
        return Ok(None);
    };
    if interval.is_zero() {
        return Ok(None);
    }
    let burst = burst.unwrap_or_else(|| {
        warnings.push(here.problem("without a burst it is 1; upstream refuses every request"));
        1
    });
    Ok(Some(RateLimit { interval, burst }))
}

impl WebConfig {
    /// Checks what upstream does when it has read the files.
    fn check(&self, file: &str) -> io::Result<()> {
        match &self.tls {
            Some(TlsSettings { client_ca: Some(ca), client_auth: ClientAuth::NoClientCert, .. }) => {
                let what = "client CA without a client auth type; client_auth_type: RequireAndVerifyClientCert is it";
                Err(ca.error(Path::new(file), what))
            }
            _ => Ok(()),
        }
    }
}

impl TlsSettings {
    fn pem(&self, file: &str, folder: &Path, files: &mut Files) -> io::Result<PemBytes> {
        let mut bytes = |source: &Source| match &source.pem {
            Pem::Inline(secret) => Ok(secret.expose().as_bytes().to_vec()),
            Pem::File(path) => {
                let path = folder.join(path);
                files.read(&path).map_err(|error| {
                    let place = format!("{file}:{}: {}", source.problem(String::new()), path.display());
                    io_error::annotated(error, place)
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

impl Source {
    /// What is wrong with the PEM that it leads to; `what` must show nothing of it.
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
