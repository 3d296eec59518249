//! Which version may take another's place.

use super::*;
use crate::scratch::Scratch;

const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
const ANY: &str = "  client_auth_type: RequireAnyClientCert\n";
const REQUEST: &str = "  client_auth_type: RequestClientCert\n";
const GIVEN: &str = "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n";
const VERIFY: &str = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
const OTHER_CA: &str = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: other.pem\n";
const NAMES: &str = "  client_allowed_sans: [prometheus.example, standby.example]\n";
const OTHER_NAME: &str = "  client_allowed_sans: [new.example]\n";
const MORE_NAMES: &str = "  client_allowed_sans: [prometheus.example, standby.example, new.example]\n";
/// As left out. An empty list is no version at all.
const NO_NAMES: &str = "  client_allowed_sans:\n";
const RATE: &str = "rate_limit: {interval: 1s, burst: 3}\n";
const OTHER_RATE: &str = "rate_limit: {interval: 1ms, burst: 99}\n";
const NO_RATE: &str = "rate_limit: {interval: 0s, burst: 3}\n";
const HEADER: &str = "http_server_config: {headers: {X-Frame-Options: deny}}\n";

const NO_TLS: &str = "tls_server_config: no longer configures TLS";
const NEW_TLS: &str = "tls_server_config: configures TLS, which the server began without";
const NOT_MANDATORY: &str = "client_auth_type: no longer demands a client certificate";
const NOT_VERIFIED: &str = "client_auth_type: no longer verifies client certificates by a CA";
const NOT_NAMED: &str = "client_allowed_sans: no longer names the clients that are allowed";
const NO_USER: &str = "basic_auth_users: no longer has a user";
const NO_LIMIT: &str = "rate_limit: no longer limits requests";

fn users(names: &[(&str, u8)]) -> String {
    let user = |(name, salt): &(&str, u8)| {
        format!("  {name}: {}\n", bcrypt::hash_with_salt("password", 4, [*salt; 16]).unwrap())
    };
    format!("basic_auth_users:\n{}", names.iter().map(user).collect::<String>())
}

#[test]
fn no_version_takes_a_protection_away() {
    let folder = Scratch::new("versions");
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
    folder.write("server.crt", own.cert.pem());
    folder.write("server.key", own.signing_key.serialize_pem());
    folder.write("ca.pem", own.cert.pem());
    folder.write("other.pem", other.cert.pem());
    let (one, both) = (users(&[("one", 1)]), users(&[("one", 1), ("two", 2)]));
    let (two, changed) = (users(&[("two", 2)]), users(&[("one", 3)]));
    let (one, both, two, changed) = (one.as_str(), both.as_str(), two.as_str(), changed.as_str());

    // The version in force, the new one, and why it is refused.
    type Version<'t> = &'t [&'t str];
    let table: &[(Version<'_>, Version<'_>, Option<&str>)] = &[
        // TLS.
        (&[TLS], &[], Some(NO_TLS)),
        (&[TLS], &[RATE, one], Some(NO_TLS)),
        (&[], &[TLS], Some(NEW_TLS)),
        (&[TLS], &[TLS, HEADER], None),
        (&[TLS, HEADER], &[TLS], None),
        // Verification: demanded or not, by a CA or not.
        (&[TLS], &[TLS, REQUEST], None),
        (&[TLS, REQUEST], &[TLS], None),
        (&[TLS], &[TLS, ANY], None),
        (&[TLS], &[TLS, GIVEN], None),
        (&[TLS], &[TLS, VERIFY], None),
        (&[TLS, ANY], &[TLS], Some(NOT_MANDATORY)),
        (&[TLS, ANY], &[TLS, REQUEST], Some(NOT_MANDATORY)),
        (&[TLS, ANY], &[TLS, GIVEN], Some(NOT_MANDATORY)),
        (&[TLS, ANY], &[TLS, VERIFY], None),
        (&[TLS, GIVEN], &[TLS], Some(NOT_VERIFIED)),
        (&[TLS, GIVEN], &[TLS, REQUEST], Some(NOT_VERIFIED)),
        (&[TLS, GIVEN], &[TLS, ANY], Some(NOT_VERIFIED)),
        (&[TLS, GIVEN], &[TLS, VERIFY], None),
        (&[TLS, VERIFY], &[TLS], Some(NOT_MANDATORY)),
        (&[TLS, VERIFY], &[TLS, REQUEST], Some(NOT_MANDATORY)),
        (&[TLS, VERIFY], &[TLS, ANY], Some(NOT_VERIFIED)),
        (&[TLS, VERIFY], &[TLS, GIVEN], Some(NOT_MANDATORY)),
        (&[TLS, VERIFY], &[TLS, OTHER_CA], None),
        (&[TLS, VERIFY], &[], Some(NO_TLS)),
        // Allowed names: the list is cut, emptied, or another one.
        (&[TLS, VERIFY, NAMES], &[TLS, VERIFY], Some(NOT_NAMED)),
        (&[TLS, VERIFY, NAMES], &[TLS, VERIFY, NO_NAMES], Some(NOT_NAMED)),
        (&[TLS, VERIFY, NAMES], &[TLS, ANY, NAMES], Some(NOT_VERIFIED)),
        (&[TLS, ANY, NAMES], &[TLS, ANY], Some(NOT_NAMED)),
        (&[TLS, VERIFY, NAMES], &[TLS, VERIFY, OTHER_NAME], None),
        (&[TLS, VERIFY, NAMES], &[TLS, VERIFY, MORE_NAMES], None),
        (&[TLS, VERIFY, MORE_NAMES], &[TLS, VERIFY, NAMES], None),
        (&[TLS, VERIFY], &[TLS, VERIFY, NAMES], None),
        // Users.
        (&[one], &[], Some(NO_USER)),
        (&[one], &["basic_auth_users: {}\n"], Some(NO_USER)),
        (&[one], &[HEADER, RATE], Some(NO_USER)),
        (&[both], &[one], None),
        (&[one], &[both], None),
        (&[one], &[two], None),
        (&[one], &[changed], None),
        (&[], &[one], None),
        // The rate limit.
        (&[RATE], &[], Some(NO_LIMIT)),
        (&[RATE], &[NO_RATE], Some(NO_LIMIT)),
        (&[RATE], &["rate_limit: {burst: 3}\n"], Some(NO_LIMIT)),
        (&[RATE, one], &[one], Some(NO_LIMIT)),
        (&[RATE], &[OTHER_RATE], None),
        (&[], &[RATE], None),
        (&[NO_RATE], &[], None),
        // All of it, and the file is cut ever earlier.
        (&[TLS, VERIFY, NAMES, RATE, one], &[TLS, VERIFY, NAMES, RATE], Some(NO_USER)),
        (&[TLS, VERIFY, NAMES, RATE, one], &[TLS, VERIFY, NAMES], Some(NO_USER)),
        (&[TLS, VERIFY, NAMES, RATE, one], &[TLS, VERIFY], Some(NOT_NAMED)),
        (&[TLS, VERIFY, NAMES, RATE, one], &[TLS], Some(NOT_MANDATORY)),
        (&[TLS, VERIFY, NAMES, RATE, one], &[], Some(NO_TLS)),
    ];
    let telemetry = Arc::new(Telemetry::new());
    let read = |texts: Version<'_>, in_force: Option<&super::Version>| {
        let path = folder.write("web.yml", texts.concat());
        load(&path, &mut Files::default(), in_force, &telemetry)
    };
    for (from, to, reason) in table {
        let in_force = read(from, None).unwrap();
        let outcome = read(to, Some(&in_force)).map(drop).map_err(|error| error.to_string());
        let place = folder.path("web.yml").display().to_string();
        let expected =
            reason.map_or(Ok(()), |why| Err(format!("{place}: {why}; a change like this needs a restart")));
        assert_eq!(outcome, expected, "from {from:?} to {to:?}");
        // At the start each of them counts.
        read(to, None).unwrap();
    }
    let error = read(&[TLS, VERIFY, "  client_allowed_sans: []\n"], None).map(drop).unwrap_err();
    assert!(error.to_string().contains("6: tls_server_config.client_allowed_sans: an empty list"), "{error}");
}
