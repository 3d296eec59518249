//! `tls_server_config`.

use std::path::PathBuf;

use super::problem::Problem;
use super::secret::Secret;
use super::section::{Field, Section, none_of};
use super::tables::{CIPHER_SUITES, CLIENT_AUTH, CURVES, CipherSuite, Curve, VERSIONS};
use crate::net::tls::{ClientAuth, TlsVersion};

/// The checked `tls_server_config`.
#[derive(Debug)]
pub(crate) struct TlsSettings {
    pub(crate) cert: PemSource,
    pub(crate) key: PemSource,
    pub(crate) client_auth: ClientAuth,
    /// Set if certificates are verified.
    pub(crate) client_ca: Option<PemSource>,
    /// Names of which a client's certificate must have one exactly. Empty: no name is required.
    pub(crate) client_allowed_sans: Vec<String>,
    pub(crate) min_version: TlsVersion,
    /// Never below the minimum.
    pub(crate) max_version: TlsVersion,
    /// Allowed suites in order of preference. Empty: those of rustls. They include the suites of TLS 1.3, which Go
    /// always offers, if that version is enabled.
    pub(crate) cipher_suites: Vec<&'static CipherSuite>,
    /// Key exchange groups in order of preference. Empty: those of the provider.
    pub(crate) curve_preferences: Vec<&'static Curve>,
    pub(crate) prefer_server_cipher_suites: bool,
}

/// The origin of a PEM, and the key that sets it.
#[derive(Debug)]
pub(crate) struct PemSource {
    pub(crate) pem: Pem,
    pub(super) line: usize,
    pub(super) key: &'static str,
}

/// PEM, or the file that contains it.
#[derive(Debug)]
pub(crate) enum Pem {
    /// The path as written, relative to the web-config file's folder.
    File(PathBuf),
    Inline(Secret),
}

pub(super) const PATH: &str = "tls_server_config";

const KEYS: &[&str] = &[
    "cert",
    "cert_file",
    "key",
    "key_file",
    "client_auth_type",
    "client_ca",
    "client_ca_file",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];

/// Parses the settings, if TLS is configured.
pub(super) fn read(
    field: Option<Field<'_>>,
    warnings: &mut Vec<Problem>,
) -> Result<Option<TlsSettings>, Problem> {
    let Some(here) = field else { return Ok(None) };
    let section = Section::new(PATH, field, KEYS)?;
    let cert = source(&section, "cert", "cert_file")?;
    let key = source(&section, "key", "key_file")?;
    let client_ca = source(&section, "client_ca", "client_ca_file")?;
    let (auth, client_auth) = client_auth(&section)?;
    let client_allowed_sans = allowed_sans(&section, client_auth, warnings)?;
    let (min_version, max_version) = versions(&section, warnings)?;
    let cipher_suites = cipher_suites(&section, min_version, max_version, warnings)?;
    let curve_preferences = curves(&section)?;
    let prefer_server_cipher_suites =
        section.get("prefer_server_cipher_suites").map_or(Ok(true), |field| field.boolean())?;

    // As upstream: without any of these there is no TLS, whatever else is set.
    if cert.is_none() && key.is_none() && client_ca.is_none() && auth.is_none() {
        if section.fields().any(|(_, field)| !field.is_null()) {
            warnings.push(here.problem("neither cert_file nor key_file is set; serving plain HTTP"));
        }
        return Ok(None);
    }
    let missing = |what| here.problem(format!("one of {what} or {what}_file is missing"));
    let cert = cert.ok_or_else(|| missing("cert"))?;
    let key = key.ok_or_else(|| missing("key"))?;

    let client_auth = match (client_auth, auth) {
        (ClientAuth::RequireAndVerifyClientCert, Some(auth)) if client_ca.is_none() => {
            let what =
                "verification is required, but no client CA is set: client_ca_file or client_ca is missing";
            return Err(auth.problem(what));
        }
        // Without a CA, no certificate can be verified, and clients without one are admitted anyway. Upstream uses
        // the system's roots.
        (ClientAuth::VerifyClientCertIfGiven, _) if client_ca.is_none() => ClientAuth::NoClientCert,
        (client_auth, _) => client_auth,
    };
    Ok(Some(TlsSettings {
        cert,
        key,
        client_auth,
        client_ca,
        client_allowed_sans,
        min_version,
        max_version,
        cipher_suites,
        curve_preferences,
        prefer_server_cipher_suites,
    }))
}

/// Reads one of a pair of keys: the PEM itself, or the file that contains it.
fn source(
    section: &Section<'_>,
    inline: &'static str,
    file: &'static str,
) -> Result<Option<PemSource>, Problem> {
    match (section.filled(inline)?, section.filled(file)?) {
        (Some(_), Some((field, _))) => Err(field.problem(format!("{inline} and {file} exclude each other"))),
        (Some((field, text)), None) => {
            if !text.contains("-----BEGIN ") {
                return Err(field.problem(format!("not PEM; a path belongs in {file}")));
            }
            Ok(Some(PemSource { pem: Pem::Inline(Secret::new(text)), line: field.line, key: inline }))
        }
        (None, Some((field, text))) => {
            // Errors show paths, so a path must not contain PEM.
            if text.contains("-----BEGIN ") || text.contains(char::is_control) {
                return Err(field.problem(format!("not a path; PEM text belongs in {inline}")));
            }
            Ok(Some(PemSource { pem: Pem::File(PathBuf::from(text)), line: field.line, key: file }))
        }
        (None, None) => Ok(None),
    }
}

/// Returns the field and its value, unless the field is missing or empty.
fn client_auth<'a>(section: &Section<'a>) -> Result<(Option<Field<'a>>, ClientAuth), Problem> {
    match section.filled("client_auth_type")? {
        Some((field, _)) => Ok((Some(field), field.named("client auth type", CLIENT_AUTH)?)),
        None => Ok((None, ClientAuth::default())),
    }
}

fn allowed_sans(
    section: &Section<'_>,
    client_auth: ClientAuth,
    warnings: &mut Vec<Problem>,
) -> Result<Vec<String>, Problem> {
    let Some(field) = section.get("client_allowed_sans") else { return Ok(Vec::new()) };
    let names = field.list()?;
    if names.is_empty() {
        return Err(field.problem("an empty list, which would admit no client"));
    }
    match client_auth {
        ClientAuth::RequireAndVerifyClientCert => {}
        ClientAuth::RequireAnyClientCert => {
            warnings.push(
                field.problem("RequireAnyClientCert does not verify: anybody can create such a certificate"),
            );
        }
        ClientAuth::NoClientCert | ClientAuth::RequestClientCert | ClientAuth::VerifyClientCertIfGiven => {
            let what = "client_auth_type must be RequireAndVerifyClientCert or RequireAnyClientCert: with other \
                        types a client needs no certificate";
            return Err(field.problem(what));
        }
    }
    names.iter().map(|name| name.text().map(str::to_owned)).collect()
}

fn versions(section: &Section<'_>, warnings: &mut Vec<Problem>) -> Result<(TlsVersion, TlsVersion), Problem> {
    let version = |key| -> Result<_, Problem> {
        let Some(field) = section.get(key) else { return Ok(None) };
        Ok(Some((field, field.named("TLS version", VERSIONS)?)))
    };
    let min = match version("min_version")? {
        None => TlsVersion::Tls12,
        Some((_, Some(version))) => version,
        Some((field, None)) => {
            warnings.push(field.problem("rustls supports no version below TLS12; using TLS12"));
            TlsVersion::Tls12
        }
    };
    match version("max_version")? {
        None => Ok((min, TlsVersion::Tls13)),
        Some((field, None)) => Err(field.problem("rustls supports no version below TLS12")),
        Some((field, Some(max))) if max < min => Err(field.problem("below min_version")),
        Some((_, Some(max))) => Ok((min, max)),
    }
}

fn cipher_suites(
    section: &Section<'_>,
    min: TlsVersion,
    max: TlsVersion,
    warnings: &mut Vec<Problem>,
) -> Result<Vec<&'static CipherSuite>, Problem> {
    let Some(field) = section.get("cipher_suites") else { return Ok(Vec::new()) };
    let mut named = Vec::new();
    for name in field.list()? {
        let text = name.text()?;
        let Some(suite) = CIPHER_SUITES.iter().find(|suite| suite.name == text) else {
            return Err(name.problem(none_of("cipher suite", text, names(|suite| suite.here))));
        };
        if !named.contains(&suite) {
            named.push(suite);
        }
    }
    if named.is_empty() {
        return Ok(named);
    }
    let missing: Vec<&str> = named.iter().filter(|suite| !suite.here).map(|suite| suite.name).collect();
    named.retain(|suite| suite.here);
    let none_left = |wanted: fn(&CipherSuite) -> bool| {
        let usable: Vec<&str> = names(wanted).collect();
        field.problem(format!("none of these suites can be used; expected one of {}", usable.join(", ")))
    };
    if named.is_empty() {
        return Err(none_left(|suite| suite.here));
    }
    if !missing.is_empty() {
        warnings.push(field.problem(format!("rustls does not support {}", missing.join(", "))));
    }
    // Go's TLS 1.3 has three suites, whose order cannot be configured.
    let mut suites = Vec::new();
    if max >= TlsVersion::Tls13 {
        suites.extend(named.iter().copied().filter(|suite| suite.tls13));
        suites.extend(CIPHER_SUITES.iter().filter(|suite| suite.tls13 && !named.contains(suite)));
    }
    if min <= TlsVersion::Tls12 {
        suites.extend(named.iter().copied().filter(|suite| !suite.tls13));
    }
    if suites.is_empty() {
        return Err(none_left(|suite| suite.here && !suite.tls13));
    }
    Ok(suites)
}

fn names(wanted: fn(&CipherSuite) -> bool) -> impl Iterator<Item = &'static str> {
    CIPHER_SUITES.iter().filter(move |suite| wanted(suite)).map(|suite| suite.name)
}

fn curves(section: &Section<'_>) -> Result<Vec<&'static Curve>, Problem> {
    let Some(field) = section.get("curve_preferences") else { return Ok(Vec::new()) };
    let here = || CURVES.iter().filter(|curve| curve.here).map(|curve| curve.name);
    let mut curves = Vec::new();
    for name in field.list()? {
        let text = name.text()?;
        match CURVES.iter().find(|curve| curve.name == text) {
            None => return Err(name.problem(none_of("curve", text, here()))),
            Some(curve) if !curve.here => {
                let here: Vec<&str> = here().collect();
                return Err(name.problem(format!(
                    "rustls with ring does not support {text}; expected one of {}",
                    here.join(", ")
                )));
            }
            Some(curve) if curves.contains(&curve) => {}
            Some(curve) => curves.push(curve),
        }
    }
    Ok(curves)
}
