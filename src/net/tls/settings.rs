//! From PEM and options to a configuration of rustls, with the provider `ring`. Reads no file and no clock.
//!
//! The provider is always named: rustls' own default is the process's, and where two are compiled in, which any crate in
//! the tree can bring about, asking for it panics.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig, version};

use super::certificate;
use super::client::{Chain, Verifier};

/// The only protocol that is offered in ALPN (RFC 7301, section 6).
pub(super) const HTTP11: &[u8] = b"http/1.1";

/// What a server's side of TLS is made from.
pub(crate) struct Settings {
    /// PEM: the server's own certificate first, then the intermediate ones.
    pub(crate) certificates: Vec<u8>,
    /// PEM: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub(crate) key: Vec<u8>,
    pub(crate) client_auth: ClientAuth,
    /// PEM: the CAs that client certificates are verified with.
    pub(crate) client_ca: Option<Vec<u8>>,
    /// DNS names, e-mail and IP addresses, URIs, of which a client's certificate must have one, exactly; no such
    /// demand if there are none.
    pub(crate) allowed_sans: Vec<String>,
    pub(crate) min_version: Version,
    pub(crate) max_version: Version,
    /// The suites that may be used, by IANA's numbers, the preferred ones first; those of `ring` if there are none.
    pub(crate) suites: Vec<u16>,
    /// Whether our order of suites counts, and not the client's.
    pub(crate) prefer_own_order: bool,
    /// The same for key exchange groups.
    pub(crate) groups: Vec<u16>,
}

/// When a client must show a certificate, and whether it is looked at.
#[cfg_attr(
    not(any(feature = "web-config", test)),
    expect(dead_code, reason = "the builder configures two of them")
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// It is not asked for one.
    #[default]
    NoClientCert,
    /// It is asked, and any or none is taken.
    RequestClientCert,
    /// Any is taken, none is not.
    RequireAnyClientCert,
    /// None is taken, and one of the CA.
    VerifyClientCertIfGiven,
    /// One of the CA it must be.
    RequireAndVerifyClientCert,
}

impl ClientAuth {
    /// Whether a client without a certificate is refused.
    pub(crate) fn is_mandatory(self) -> bool {
        matches!(self, ClientAuth::RequireAnyClientCert | ClientAuth::RequireAndVerifyClientCert)
    }

    /// Whether a certificate that is not of the CA is refused.
    pub(crate) fn is_verified(self) -> bool {
        matches!(self, ClientAuth::VerifyClientCertIfGiven | ClientAuth::RequireAndVerifyClientCert)
    }
}

/// Those that rustls speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

/// A configuration, and what else there is to know of its certificate.
pub(crate) struct Loaded {
    pub(crate) config: Arc<ServerConfig>,
    /// The last second in which the server's own certificate is valid, since the epoch.
    pub(crate) not_after: i64,
}

/// What is wrong, and with what. Nothing of a key is in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) part: Part,
    pub(crate) what: String,
}

/// The parts that a fault may be in: three that come from files, and the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Certificates,
    Key,
    ClientCa,
    Options,
}

impl Settings {
    /// Without clients' certificates, and with all that is safe.
    pub(crate) fn new(certificates: Vec<u8>, key: Vec<u8>) -> Self {
        Settings {
            certificates,
            key,
            client_auth: ClientAuth::default(),
            client_ca: None,
            allowed_sans: Vec::new(),
            min_version: Version::Tls12,
            max_version: Version::Tls13,
            suites: Vec::new(),
            prefer_own_order: false,
            groups: Vec::new(),
        }
    }
}

/// Makes the configuration.
///
/// Sessions are not resumed: Prometheus does not ask for it, and one that is resumed would not be verified again, so a
/// client would outlive its certificate. There is no early data, which can be replayed, and no renegotiation, which
/// rustls does not have.
///
/// # Errors
///
/// The first fault.
pub(crate) fn load(settings: Settings) -> Result<Loaded, Fault> {
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
    let chain = certificates_in(&certificates, Part::Certificates)?;
    let own = chain.first().and_then(|own| certificate::not_after(own));
    let not_after = own.ok_or_else(|| Part::Certificates.fault("the first certificate can not be read"))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| key_fault(&error, &key))?;

    let provider = Arc::new(provider(&suites, &groups)?);
    let versions: Vec<_> = [(Version::Tls13, &version::TLS13), (Version::Tls12, &version::TLS12)]
        .into_iter()
        .filter(|(version, _)| (min_version..=max_version).contains(version))
        .map(|(_, version)| version)
        .collect();
    let verifier = verifier(client_auth, client_ca, allowed_sans, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|_| Part::Options.fault("of the cipher suites none is of a version that may be spoken"))?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            Part::Key.fault("the key is not the certificate's")
        }
        Error::InvalidCertificate(error) => {
            Part::Certificates.fault(format!("the first certificate can not be used: {error}"))
        }
        // No more of the error than that there is one: it is about the key.
        _ => Part::Key
            .fault("no key that can be used: RSA of 2048 bits or more, ECDSA P-256 or P-384, Ed25519"),
    })?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.ignore_client_order = prefer_own_order;
    config.alpn_protocols = vec![HTTP11.to_vec()];
    Ok(Loaded { config: Arc::new(config), not_after })
}

fn provider(suites: &[u16], groups: &[u16]) -> Result<CryptoProvider, Fault> {
    let mut provider = ring::default_provider();
    if !suites.is_empty() {
        provider.cipher_suites = choose(suites, &provider.cipher_suites, |suite| suite.suite().into())
            .map_err(|id| Part::Options.fault(format!("no cipher suite has the number {id:#06x}")))?;
    }
    if !groups.is_empty() {
        provider.kx_groups = choose(groups, &provider.kx_groups, |group| group.name().into())
            .map_err(|id| Part::Options.fault(format!("no key exchange group has the number {id:#06x}")))?;
    }
    Ok(provider)
}

/// Those with the wanted numbers, in that order; else the number that nothing has.
fn choose<T: Copy>(wanted: &[u16], all: &[T], number: impl Fn(T) -> u16) -> Result<Vec<T>, u16> {
    let find = |id: &u16| all.iter().copied().find(|one| number(*one) == *id).ok_or(*id);
    wanted.iter().map(find).collect()
}

fn verifier(
    auth: ClientAuth,
    ca: Option<Vec<u8>>,
    allowed_sans: Vec<String>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Verifier>, Fault> {
    if auth == ClientAuth::NoClientCert && ca.is_some() {
        return Err(Part::Options.fault("a client CA, but clients are not asked for certificates"));
    }
    let (mandatory, verified) = (auth.is_mandatory(), auth.is_verified());
    if !mandatory && !allowed_sans.is_empty() {
        let what = "names that clients must have, but a client may come without a certificate";
        return Err(Part::Options.fault(what));
    }
    if auth == ClientAuth::NoClientCert {
        return Ok(None);
    }
    // Read also where it is not needed: a broken one is no whim.
    let ca = ca.map(|ca| roots(&ca)).transpose()?;
    let chain = match ca {
        _ if !verified => Chain::Any,
        None if mandatory => {
            return Err(Part::Options.fault("client certificates are to be verified, but there is no CA"));
        }
        None => Chain::Nobody,
        Some(roots) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
            Chain::Of(verifier.map_err(|error| Part::ClientCa.fault(error.to_string()))?)
        }
    };
    let algorithms = provider.signature_verification_algorithms;
    Ok(Some(Verifier { chain, mandatory, allowed_sans, algorithms }))
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for (n, certificate) in certificates_in(pem, Part::ClientCa)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| {
            Part::ClientCa.fault(format!("certificate {} of it can not be used: {error}", n + 1))
        })?;
    }
    Ok(roots)
}

fn certificates_in(pem: &[u8], part: Part) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(part.fault("there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        // Without what the error shows of the text, because the user may have mistaken one file for the other.
        Err(_) => Err(part.fault("it is no whole PEM")),
    }
}

fn key_fault(error: &pem::Error, pem: &[u8]) -> Fault {
    let has = |marker: &[u8]| pem.windows(marker.len()).any(|window| window == marker);
    let encrypted = has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED");
    Part::Key.fault(match error {
        _ if encrypted => "the key is encrypted, and there is nobody to ask for the password",
        pem::Error::NoItemsFound => "there is no private key in it",
        // Without what the error shows of the text.
        _ => "it is no whole PEM",
    })
}

impl Part {
    fn fault(self, what: impl Into<String>) -> Fault {
        Fault { part: self, what: what.into() }
    }
}
