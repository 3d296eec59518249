//! Builds rustls configurations, with the provider `ring`, from PEM and options. Reads no file and no clock.
//!
//! The provider is always passed explicitly. The default provider of rustls belongs to the process. Asking
//! for it panics if two are compiled in, which any crate in the dependency tree can cause.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig, version};

use super::certificate;
use super::client::{Chain, Verifier};

/// The only protocol that ALPN offers (RFC 7301, section 6).
pub(super) const HTTP11: &[u8] = b"http/1.1";

/// Input of the server's side of TLS.
pub(crate) struct Settings {
    /// PEM: the server's certificate first, then the intermediate ones.
    pub(crate) certificates: Vec<u8>,
    /// PEM: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub(crate) key: Vec<u8>,
    pub(crate) client_auth: ClientAuth,
    /// PEM: the CAs that verify client certificates.
    pub(crate) client_ca: Option<Vec<u8>>,
    /// DNS names, e-mail addresses, IP addresses and URIs. A client's certificate must have one of them exactly.
    /// Empty: no name is required.
    pub(crate) allowed_sans: Vec<String>,
    pub(crate) min_version: TlsVersion,
    pub(crate) max_version: TlsVersion,
    /// Allowed cipher suites by their IANA numbers, in order of preference. Empty: those of `ring`.
    pub(crate) suites: Vec<u16>,
    /// Whether the server's order of suites takes precedence over the client's.
    pub(crate) prefer_own_order: bool,
    /// Allowed key exchange groups by their IANA numbers, in order of preference. Empty: those of `ring`.
    pub(crate) groups: Vec<u16>,
}

/// Whether a client must present a certificate, and whether it is verified.
#[cfg_attr(
    not(any(feature = "web-config", test)),
    expect(dead_code, reason = "the builder configures two of them")
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// The server does not request a certificate.
    #[default]
    NoClientCert,
    /// The server requests a certificate, and accepts any or none.
    RequestClientCert,
    /// The client must present any certificate.
    RequireAnyClientCert,
    /// The client may present no certificate, or one of the CA.
    VerifyClientCertIfGiven,
    /// The client must present a certificate of the CA.
    RequireAndVerifyClientCert,
}

impl ClientAuth {
    /// Returns whether a client without a certificate is refused.
    pub(crate) fn is_mandatory(self) -> bool {
        matches!(self, ClientAuth::RequireAnyClientCert | ClientAuth::RequireAndVerifyClientCert)
    }

    /// Returns whether a certificate that is not of the CA is refused.
    pub(crate) fn is_verified(self) -> bool {
        matches!(self, ClientAuth::VerifyClientCertIfGiven | ClientAuth::RequireAndVerifyClientCert)
    }
}

/// TLS versions that rustls supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TlsVersion {
    Tls12,
    Tls13,
}

/// A configuration, and the end of its certificate's validity.
pub(crate) struct LoadedTls {
    pub(crate) config: Arc<ServerConfig>,
    /// The last second in which the server's certificate is valid, since the epoch.
    pub(crate) not_after: i64,
}

/// A fault, and the part that it is in. Contains no part of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TlsFault {
    pub(crate) part: TlsPart,
    pub(crate) what: String,
}

/// Parts that a fault may be in: three that come from files, and the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsPart {
    Certificates,
    Key,
    ClientCa,
    Options,
}

impl Settings {
    /// Creates settings without client certificates and with safe defaults.
    pub(crate) fn new(certificates: Vec<u8>, key: Vec<u8>) -> Self {
        Settings {
            certificates,
            key,
            client_auth: ClientAuth::default(),
            client_ca: None,
            allowed_sans: Vec::new(),
            min_version: TlsVersion::Tls12,
            max_version: TlsVersion::Tls13,
            suites: Vec::new(),
            prefer_own_order: false,
            groups: Vec::new(),
        }
    }
}

/// Builds the configuration.
///
/// Sessions are not resumed. Prometheus does not ask for it, and a resumed session is not verified again, so a client
/// could outlive its certificate. Early data is off, because it can be replayed. rustls has no renegotiation.
///
/// # Errors
///
/// Returns the first fault.
pub(crate) fn load(settings: Settings) -> Result<LoadedTls, TlsFault> {
    let Settings {
        certificates,
        key,
        client_auth,
        client_ca,
        allowed_sans,
        min_version,
        max_version,
        suites,
        prefer_own_order,
        groups,
    } = settings;
    let chain = certificates_in(&certificates, TlsPart::Certificates)?;
    let own = chain.first().and_then(|own| certificate::not_after(own));
    let not_after =
        own.ok_or_else(|| TlsPart::Certificates.fault("the first certificate cannot be parsed"))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| key_fault(&error, &key))?;

    let provider = Arc::new(provider(&suites, &groups)?);
    let versions: Vec<_> = [(TlsVersion::Tls13, &version::TLS13), (TlsVersion::Tls12, &version::TLS12)]
        .into_iter()
        .filter(|(version, _)| (min_version..=max_version).contains(version))
        .map(|(_, version)| version)
        .collect();
    let verifier = verifier(client_auth, client_ca, allowed_sans, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|_| TlsPart::Options.fault("no cipher suite fits the allowed TLS versions"))?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsPart::Key.fault("the key does not match the certificate")
        }
        Error::InvalidCertificate(error) => {
            TlsPart::Certificates.fault(format!("the first certificate cannot be used: {error}"))
        }
        // Omits rustls' error, because it is about the key.
        _ => TlsPart::Key
            .fault("unsupported key (expected RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519)"),
    })?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.ignore_client_order = prefer_own_order;
    config.alpn_protocols = vec![HTTP11.to_vec()];
    Ok(LoadedTls { config: Arc::new(config), not_after })
}

fn provider(suites: &[u16], groups: &[u16]) -> Result<CryptoProvider, TlsFault> {
    let mut provider = ring::default_provider();
    if !suites.is_empty() {
        provider.cipher_suites = choose(suites, &provider.cipher_suites, |suite| suite.suite().into())
            .map_err(|id| TlsPart::Options.fault(format!("no cipher suite has the number {id:#06x}")))?;
    }
    if !groups.is_empty() {
        provider.kx_groups =
            choose(groups, &provider.kx_groups, |group| group.name().into()).map_err(|id| {
                TlsPart::Options.fault(format!("no key exchange group has the number {id:#06x}"))
            })?;
    }
    Ok(provider)
}

/// Returns the items with the wanted numbers in that order, or the first number without an item.
fn choose<T: Copy>(wanted: &[u16], all: &[T], number: impl Fn(T) -> u16) -> Result<Vec<T>, u16> {
    let find = |id: &u16| all.iter().copied().find(|one| number(*one) == *id).ok_or(*id);
    wanted.iter().map(find).collect()
}

fn verifier(
    auth: ClientAuth,
    ca: Option<Vec<u8>>,
    allowed_sans: Vec<String>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Verifier>, TlsFault> {
    if auth == ClientAuth::NoClientCert && ca.is_some() {
        return Err(TlsPart::Options.fault("a client CA is set, but clients are not asked for certificates"));
    }
    let (mandatory, verified) = (auth.is_mandatory(), auth.is_verified());
    if !mandatory && !allowed_sans.is_empty() {
        return Err(TlsPart::Options.fault("allowed names are set, but client certificates are optional"));
    }
    if auth == ClientAuth::NoClientCert {
        return Ok(None);
    }
    // A CA is parsed even if it is not used, because a broken one is a mistake.
    let ca = ca.map(|ca| roots(&ca)).transpose()?;
    let chain = match ca {
        _ if !verified => Chain::Any,
        None => return Err(TlsPart::Options.fault("no client CA is set to verify client certificates")),
        Some(roots) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
            Chain::Of(verifier.map_err(|error| TlsPart::ClientCa.fault(error.to_string()))?)
        }
    };
    let algorithms = provider.signature_verification_algorithms;
    Ok(Some(Verifier { chain, mandatory, allowed_sans, algorithms }))
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for (n, certificate) in certificates_in(pem, TlsPart::ClientCa)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| {
            TlsPart::ClientCa.fault(format!("certificate {} cannot be used: {error}", n + 1))
        })?;
    }
    Ok(roots)
}

fn certificates_in(pem: &[u8], part: TlsPart) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(part.fault("no certificate found")),
        Ok(certificates) => Ok(certificates),
        // Omits the PEM error, which quotes the text: the user may have confused the files.
        Err(_) => Err(part.fault("not valid PEM")),
    }
}

fn key_fault(error: &pem::Error, pem: &[u8]) -> TlsFault {
    let has = |marker: &[u8]| pem.windows(marker.len()).any(|window| window == marker);
    let encrypted = has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED");
    TlsPart::Key.fault(match error {
        _ if encrypted => "the key is encrypted (expected an unencrypted key)",
        pem::Error::NoItemsFound => "no private key found",
        // Omits the PEM error, which quotes the text.
        _ => "not valid PEM",
    })
}

impl TlsPart {
    fn fault(self, what: impl Into<String>) -> TlsFault {
        TlsFault { part: self, what: what.into() }
    }
}
