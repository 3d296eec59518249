//! Names of TLS options in the file, and which of them rustls' `ring` provider supports.
//!
//! The numbers are IANA's, which rustls uses too. So its configuration can be built by comparing numbers.

use crate::net::tls::{ClientAuth, TlsVersion};

/// A cipher suite by its name in Go's `crypto/tls`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CipherSuite {
    pub(crate) name: &'static str,
    /// <https://www.iana.org/assignments/tls-parameters>, "TLS Cipher Suites"; `rustls::CipherSuite` as `u16`.
    pub(crate) id: u16,
    /// Whether the suite is of TLS 1.3. Otherwise it is of TLS 1.2.
    pub(crate) tls13: bool,
    /// Whether rustls supports it.
    pub(crate) here: bool,
}

/// A key exchange group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    /// The same page, "TLS Supported Groups"; `rustls::NamedGroup` as `u16`.
    pub(crate) id: u16,
    /// Whether `ring` supports it.
    pub(crate) here: bool,
}

const fn tls13(name: &'static str, id: u16) -> CipherSuite {
    CipherSuite { name, id, tls13: true, here: true }
}

const fn tls12(name: &'static str, id: u16) -> CipherSuite {
    CipherSuite { name, id, tls13: false, here: true }
}

/// A suite with CBC, SHA-1, RC4 or non-ephemeral keys. rustls supports none of these and never will.
const fn elsewhere(name: &'static str, id: u16) -> CipherSuite {
    CipherSuite { name, id, tls13: false, here: false }
}

/// The suites of `tls.CipherSuites` and `tls.InsecureCipherSuites`, in rustls' order of preference. Upstream accepts
/// only the former, but their set depends on its Go version.
pub(crate) static CIPHER_SUITES: &[CipherSuite] = &[
    tls13("TLS_AES_256_GCM_SHA384", 0x1302),
    tls13("TLS_AES_128_GCM_SHA256", 0x1301),
    tls13("TLS_CHACHA20_POLY1305_SHA256", 0x1303),
    tls12("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 0xc02c),
    tls12("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0xc02b),
    tls12("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca9),
    tls12("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", 0xc030),
    tls12("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xc02f),
    tls12("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca8),
    elsewhere("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", 0xc009),
    elsewhere("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", 0xc00a),
    elsewhere("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", 0xc013),
    elsewhere("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", 0xc014),
    elsewhere("TLS_RSA_WITH_AES_128_CBC_SHA", 0x002f),
    elsewhere("TLS_RSA_WITH_AES_256_CBC_SHA", 0x0035),
    elsewhere("TLS_RSA_WITH_AES_128_GCM_SHA256", 0x009c),
    elsewhere("TLS_RSA_WITH_AES_256_GCM_SHA384", 0x009d),
    elsewhere("TLS_RSA_WITH_AES_128_CBC_SHA256", 0x003c),
    elsewhere("TLS_RSA_WITH_3DES_EDE_CBC_SHA", 0x000a),
    elsewhere("TLS_RSA_WITH_RC4_128_SHA", 0x0005),
    elsewhere("TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", 0xc012),
    elsewhere("TLS_ECDHE_RSA_WITH_RC4_128_SHA", 0xc011),
    elsewhere("TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", 0xc007),
    elsewhere("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", 0xc027),
    elsewhere("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", 0xc023),
];

/// The curves that upstream accepts.
pub(crate) static CURVES: &[Curve] = &[
    Curve { name: "X25519", id: 0x001d, here: true },
    Curve { name: "CurveP256", id: 0x0017, here: true },
    Curve { name: "CurveP384", id: 0x0018, here: true },
    Curve { name: "CurveP521", id: 0x0019, here: false },
];

/// rustls supports no version below 1.2.
pub(super) const VERSIONS: &[(&str, Option<TlsVersion>)] = &[
    ("TLS10", None),
    ("TLS11", None),
    ("TLS12", Some(TlsVersion::Tls12)),
    ("TLS13", Some(TlsVersion::Tls13)),
];

/// The five forms, one of which has two names.
pub(super) const CLIENT_AUTH: &[(&str, ClientAuth)] = &[
    ("NoClientCert", ClientAuth::NoClientCert),
    ("RequestClientCert", ClientAuth::RequestClientCert),
    ("RequireClientCert", ClientAuth::RequireAnyClientCert),
    ("RequireAnyClientCert", ClientAuth::RequireAnyClientCert),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyClientCertIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerifyClientCert),
];
