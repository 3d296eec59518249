//! Verification of client certificates: the five forms of `client_auth_type`, and the list of alternative names.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
};

use super::certificate;

/// Maximum number of intermediate certificates that are verified. The others are ignored, because a TLS client
/// should send them from its own certificate upwards (RFC 8446, section 4.4.2).
///
/// rustls tries all paths through certificates with equal names before it verifies a signature. Its own limits allow
/// seconds of that, on the thread of all connections, and each further certificate multiplies the time.
const MAX_INTERMEDIATES: usize = 4;

/// Verifies clients' certificates. rustls itself verifies that the client has the certificate's key.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) chain: Chain,
    pub(super) mandatory: bool,
    /// Names of which the certificate must have one. Empty: any name is accepted.
    pub(super) allowed_sans: Vec<String>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

/// Accepted issuers.
#[derive(Debug)]
pub(super) enum Chain {
    /// Any issuer: neither chain nor validity is verified.
    Any,
    Of(Arc<dyn ClientCertVerifier>),
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.chain {
            Chain::Any => &[],
            Chain::Of(verifier) => verifier.root_hint_subjects(),
        }
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match &self.chain {
            Chain::Any => {}
            Chain::Of(verifier) => {
                let first = intermediates.get(..MAX_INTERMEDIATES).unwrap_or(intermediates);
                verifier.verify_client_cert(end_entity, first, now)?;
            }
        }
        if !self.allowed_sans.is_empty() {
            let names = certificate::names(end_entity).ok_or(CertificateError::BadEncoding)?;
            let allowed = |name: &[u8]| self.allowed_sans.iter().any(|allowed| allowed.as_bytes() == name);
            if !names.iter().any(|name| allowed(name)) {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
