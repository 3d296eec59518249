//! Tables of versions and whether they may replace others.

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
/// Same as without the key. A version with an empty list is rejected.
const NO_NAMES: &str = "  client_allowed_sans:\n";
const RATE: &str = "rate_limit: {interval: 1s, burst: 3}\n";
const OTHER_RATE: &str = "rate_limit: {interval: 1ms, burst: 99}\n";
const NO_RATE: &str = "rate_limit: {interval: 0s, burst: 3}\n";
const HEADER: &str = "http_server_config: {headers: {X-Frame-Options: deny}}\n";

const NO_TLS: &str = "tls_server_config: no longer configures TLS";
const NEW_TLS: &str = "tls_server_config: configures TLS, but the server started without it";
const NOT_MANDATORY: &str = "client_auth_type: no longer requires a client certificate";
const NOT_VERIFIED: &str = "client_auth_type: no longer verifies client certificates against a CA";
const NOT_NAMED: &str = "client_allowed_sans: no longer lists allowed clients";
const NO_USER: &str = "basic_auth_users: no longer has a user";
const NOBODY: &str = "basic_auth_users: none of the users can log in";
const NO_LIMIT: &str = "rate_limit: no longer limits requests";

fn users(names: &[(&str, u8)]) -> String {
    let user = |(name, salt): &(&str, u8)| {
        format!("  {name}: {}\n", bcrypt::hash_with_salt("password", 4, [*salt; 16]).unwrap())
    };
    format!("basic_auth_users:\n{}", names.iter().map(user).collect::<String>())
}

#[test]
fn no_version_removes_a_protection() {
    let folder = Scratch::new("versions");
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
    folder.write("server.crt", own.cert.pem());
    folder.write("server.key", own.signing_key.serialize_pem());
    folder.write("ca.pem", own.cert.pem());
    folder.write("other.pem", other.cert.pem());
    let (one, both) = (users(&[("one", 1)]), users(&[("one", 1), ("two", 2)]));
    let (two, changed) = (users(&[("two", 2)]), users(&[("one", 3)]));
    // A bcrypt cost above 16 takes too long, and a user name must not contain a colon.
    let (costly, unsendable) = (users(&[("costly", 4)]).replace("$04$", "$17$"), users(&[("a:b", 5)]));
    let costly_too = format!("{one}{}", costly.trim_start_matches("basic_auth_users:\n"));
    let (costly, unsendable, costly_too) = (costly.as_str(), unsendable.as_str(), costly_too.as_str());
    let (one, both, two, changed) = (one.as_str(), both.as_str(), two.as_str(), changed.as_str());

    // The current version, the new one, and why it is rejected, or whether earlier connections end.
    type Version<'t> = &'t [&'t str];
    const STAY: Result<bool, &str> = Ok(false);
    const END: Result<bool, &str> = Ok(true);
    let table: &[(Version<'_>, Version<'_>, Result<bool, &str>)] = &[
        // TLS.
        (&[TLS], &[], Err(NO_TLS)),
        (&[TLS], &[RATE, one], Err(NO_TLS)),
        (&[], &[TLS], Err(NEW_TLS)),
        (&[TLS], &[TLS, HEADER], STAY),
        (&[TLS, HEADER], &[TLS], STAY),
        // Client certificates: required or not, verified or not.
        (&[TLS], &[TLS, REQUEST], END),
        (&[TLS, REQUEST], &[TLS], END),
        (&[TLS], &[TLS, ANY], END),
        (&[TLS], &[TLS, GIVEN], END),
        (&[TLS], &[TLS, VERIFY], END),
        (&[TLS, ANY], &[TLS], Err(NOT_MANDATORY)),
        (&[TLS, ANY], &[TLS, REQUEST], Err(NOT_MANDATORY)),
        (&[TLS, ANY], &[TLS, GIVEN], Err(NOT_MANDATORY)),
        (&[TLS, ANY], &[TLS, VERIFY], END),
        (&[TLS, GIVEN], &[TLS], Err(NOT_VERIFIED)),
        (&[TLS, GIVEN], &[TLS, REQUEST], Err(NOT_VERIFIED)),
        (&[TLS, GIVEN], &[TLS, ANY], Err(NOT_VERIFIED)),
        (&[TLS, GIVEN], &[TLS, VERIFY], END),
        (&[TLS, VERIFY], &[TLS], Err(NOT_MANDATORY)),
        (&[TLS, VERIFY], &[TLS, REQUEST], Err(NOT_MANDATORY)),
        (&[TLS, VERIFY], &[TLS, ANY], Err(NOT_VERIFIED)),
        (&[TLS, VERIFY], &[TLS, GIVEN], Err(NOT_MANDATORY)),
        (&[TLS, VERIFY], &[TLS, OTHER_CA], END),
        (&[TLS, VERIFY], &[], Err(NO_TLS)),
        // Allowed names: a shorter list, an empty one, another one.
        (&[TLS, VERIFY, NAMES], &[TLS, VERIFY], Err(NOT_NAMED)),
        (&[TLS, VERIFY, NAMES], &[TLS, VERIFY, NO_NAMES], Err(NOT_NAMED)),
        (&[TLS, VERIFY, NAMES], &[TLS, ANY, NAMES], Err(NOT_VERIFIED)),
        (&[TLS, ANY, NAMES], &[TLS, ANY], Err(NOT_NAMED)),
        (&[TLS, VERIFY, NAMES], &[TLS, VERIFY, OTHER_NAME], END),
        (&[TLS, VERIFY, NAMES], &[TLS, VERIFY, MORE_NAMES], END),
        (&[TLS, VERIFY, MORE_NAMES], &[TLS, VERIFY, NAMES], END),
        (&[TLS, VERIFY], &[TLS, VERIFY, NAMES], END),
        // Users.
        (&[one], &[], Err(NO_USER)),
        (&[one], &["basic_auth_users: {}\n"], Err(NO_USER)),
        (&[one], &[HEADER, RATE], Err(NO_USER)),
        (&[both], &[one], END),
        (&[one], &[both], STAY),
        (&[one], &[two], END),
        (&[one], &[changed], END),
        (&[], &[one], STAY),
        // Users that cannot log in.
        (&[one], &[costly], Err(NOBODY)),
        (&[one], &[unsendable], Err(NOBODY)),
        (&[], &[costly], Err(NOBODY)),
        (&[one], &[costly_too], STAY),
        (&[costly_too], &[one], END),
        (&[costly], &[costly, HEADER], STAY),
        (&[costly], &[one], END),
        // The rate limit.
        (&[RATE], &[], Err(NO_LIMIT)),
        (&[RATE], &[NO_RATE], Err(NO_LIMIT)),
        (&[RATE], &["rate_limit: {burst: 3}\n"], Err(NO_LIMIT)),
        (&[RATE, one], &[one], Err(NO_LIMIT)),
        (&[RATE], &[OTHER_RATE], STAY),
        (&[], &[RATE], STAY),
        (&[NO_RATE], &[], STAY),
        // All protections, in a file that is truncated earlier and earlier.
        (&[TLS, VERIFY, NAMES, RATE, one], &[TLS, VERIFY, NAMES, RATE], Err(NO_USER)),
        (&[TLS, VERIFY, NAMES, RATE, one], &[TLS, VERIFY, NAMES], Err(NO_USER)),
        (&[TLS, VERIFY, NAMES, RATE, one], &[TLS, VERIFY], Err(NOT_NAMED)),
        (&[TLS, VERIFY, NAMES, RATE, one], &[TLS], Err(NOT_MANDATORY)),
        (&[TLS, VERIFY, NAMES, RATE, one], &[], Err(NO_TLS)),
    ];
    let telemetry = Arc::new(Telemetry::new());
    let read = |texts: Version<'_>, in_force: Option<&super::Version>| {
        let path = folder.write("web.yml", texts.concat());
        load(&path, &mut Files::default(), in_force, &telemetry)
    };
    for (from, to, expected) in table {
        let in_force = read(from, None).unwrap();
        let outcome = read(to, Some(&in_force));
        let outcome = outcome.map(|new| in_force.protection.is_revoked_by(&new.protection));
        let outcome = outcome.map_err(|error| error.to_string());
        let file = folder.path("web.yml").display().to_string();
        let expected = expected.map_err(|why| format!("{file}: {why}; this change needs a restart"));
        assert_eq!(outcome, expected, "from {from:?} to {to:?}");
        // At the start, each of these versions is accepted.
        read(to, None).unwrap();
    }
    let error = read(&[TLS, VERIFY, "  client_allowed_sans: []\n"], None).map(drop).unwrap_err();
    assert!(error.to_string().contains("6: tls_server_config.client_allowed_sans: an empty list"), "{error}");
}

/// A client could reload a rate limit and the limit of wrong guesses whenever a certificate was rotated.
#[test]
fn new_version_keeps_limits_that_it_does_not_change() {
    let folder = Scratch::new("kept-limits");
    let (one, two) = (users(&[("one", 1)]), users(&[("two", 2)]));
    let both = format!("{one}{}", two.trim_start_matches("basic_auth_users:\n"));
    let swapped = format!("{two}{}", one.trim_start_matches("basic_auth_users:\n"));
    let (limit, same) = ("rate_limit: {interval: 1h, burst: 1}\n", "rate_limit: {burst: 1, interval: 60m}\n");
    let (rarer, more) = (limit.replace("1h", "2h"), limit.replace("burst: 1", "burst: 2"));
    // The new version, whether it keeps the rate limit, whether it keeps the users' failed logins.
    let table = [
        ([HEADER, limit, &both], true, true),
        ([HEADER, same, &swapped], true, true),
        ([HEADER, limit, &one], true, false),
        ([HEADER, &rarer, &both], false, true),
        ([HEADER, &more, &both], false, true),
    ];
    let telemetry = Arc::new(Telemetry::new());
    let read = |texts: &[&str], in_force: Option<&super::Version>| {
        let path = folder.write("web.yml", texts.concat());
        load(&path, &mut Files::default(), in_force, &telemetry).unwrap()
    };
    for (texts, keeps_limit, keeps_logins) in &table {
        let first = read(&[limit, &both], None);
        let next = read(texts, Some(&first));
        let take = |version: &super::Version| {
            version.policy.rate_limit.as_ref().unwrap().lock().take(Instant::now())
        };
        // The version in force also counts requests while the next one is loaded.
        take(&first).unwrap();
        assert_eq!(take(&next).is_err(), *keeps_limit, "{texts:?}");
        let [before, after] = [&first, &next].map(|version| version.policy.authenticator.as_ref().unwrap());
        assert_eq!(Arc::ptr_eq(before, after), *keeps_logins, "{texts:?}");
    }
}
