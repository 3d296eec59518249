//! Accepted and rejected credentials.

use std::collections::HashSet;
use std::iter;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

fn hash(password: &str, cost: u32, salt: u8) -> String {
    bcrypt::hash_with_salt(password, cost, [salt; 16]).unwrap().to_string()
}

fn with_users(users: &[(&str, &str, u32)]) -> Credentials {
    let mut credentials = Credentials::default();
    for (salt, (name, password, cost)) in (0..).zip(users) {
        credentials.add_user(name, &hash(password, *cost, salt));
    }
    assert_eq!(credentials.faults, [] as [String; 0]);
    credentials
}

fn login(credentials: &Credentials, name: &str, password: &str) -> Login {
    match credentials.evaluate(iter::once(basic(name, password).as_bytes())) {
        Evaluation::Login(login) => login,
        other => panic!("{name}: {other:?}"),
    }
}

/// Returns the number of bcrypt rounds of the login, and whether it succeeds.
fn verify(credentials: &Credentials, name: &str, password: &str) -> (u64, bool) {
    let login = login(credentials, name, password);
    let [cost, ..] = login.hash.bytes();
    (1 << cost, login.verify().is_some())
}

fn shown(evaluation: &Evaluation) -> String {
    format!("{evaluation:?}").split('(').next().unwrap_or_default().to_owned()
}

#[test]
fn evaluates_the_authorization_header() {
    let mut credentials = with_users(&[("alice", "secret", 4)]);
    credentials.add_token(b"new-token");
    credentials.add_token(b"old-token==");
    let good = basic("alice", "secret");
    let table: &[(&[&str], &str)] = &[
        (&[], "Missing"),
        (&["Bearer new-token"], "Accepted"),
        (&["bearer  old-token=="], "Accepted"),
        (&["Bearer old-token"], "Wrong"),
        (&["Bearer new-toke"], "Wrong"),
        (&["Bearer NEW-TOKEN"], "Wrong"),
        (&["Bearer new-token", "Bearer new-token"], "Missing"),
        (&["Bearer new-token", &good], "Missing"),
        (&["Basic new-token"], "Missing"),
        (&["Token new-token"], "Missing"),
        (&["new-token"], "Missing"),
        (&[&good], "Login"),
        (&[&basic("bob", "secret")], "Login"),
    ];
    for (lines, expected) in table {
        let evaluation = credentials.evaluate(lines.iter().map(|line| line.as_bytes()));
        assert_eq!(shown(&evaluation), *expected, "{lines:?}");
    }
    // Without users there is no hash to verify against.
    let mut tokens = Credentials::default();
    tokens.add_token(b"token");
    assert_eq!(shown(&tokens.evaluate(iter::once(good.as_bytes()))), "Wrong");
}

#[test]
fn verifies_passwords_of_known_users_only() {
    let credentials = with_users(&[("alice", "secret", 4), ("bob", "other", 4), ("", "nobody's", 4)]);
    let table = [
        ("alice", "secret", true),
        ("bob", "other", true),
        ("", "nobody's", true),
        ("alice", "other", false),
        ("bob", "secret", false),
        ("alice", "", false),
        ("alice", "Secret", false),
        ("Alice", "secret", false),
        ("carol", "secret", false),
        ("carol", "other", false),
        ("carol", "nobody's", false),
    ];
    for (name, password, expected) in table {
        assert_eq!(verify(&credentials, name, password).1, expected, "{name}:{password}");
    }
}

#[test]
fn unknown_users_cost_as_much_as_known_ones() {
    let table: &[(&[u32], &[u64])] = &[(&[5], &[32]), (&[4, 4], &[16]), (&[4, 6], &[16, 64])];
    for (costs, expected) in table {
        let users: Vec<(String, u32)> =
            (0..).zip(*costs).map(|(at, cost): (u32, _)| (at.to_string(), *cost)).collect();
        let users: Vec<(&str, &str, u32)> =
            users.iter().map(|(name, cost)| (name.as_str(), "x", *cost)).collect();
        let (credentials, again) = (with_users(&users), with_users(&users));
        let mut seen = HashSet::new();
        for unknown in 0..40 {
            let name = format!("unknown{unknown}");
            let (rounds, admitted) = verify(&credentials, &name, "x");
            assert!(!admitted, "{name}");
            assert_eq!(rounds, verify(&again, &name, "y").0, "{name}");
            seen.insert(rounds);
        }
        assert_eq!(seen, expected.iter().copied().collect(), "{costs:?}");
    }
}

/// CVE-2022-46146 and similar: the same bytes, divided differently.
#[test]
fn different_logins_have_different_digests() {
    let credentials = with_users(&[("a", "x", 4), ("ab", "x", 4)]);
    let logins = [
        ("a", "bc"),
        ("ab", "c"),
        ("abc", ""),
        ("", "abc"),
        ("a", "x"),
        ("ab", "x"),
        ("c", "x"),
        ("a", ":x"),
    ];
    let mut seen: Vec<LoginDigest> = Vec::new();
    for (name, password) in logins {
        let digest = login(&credentials, name, password).digest;
        assert!(!seen.contains(&digest), "{name}:{password}");
        assert_eq!(digest, login(&credentials, name, password).digest, "{name}:{password}");
        seen.push(digest);
    }
}

#[test]
fn faults_do_not_quote_secrets() {
    let good = hash("secret", 4, 1);
    let costly = good.replace("$04$", "$17$");
    let table: &[(&str, &str, &str)] = &[
        ("alice", &good, ""),
        (
            "alice",
            "hunter2",
            "basic_auth: user \"alice\" has an invalid bcrypt hash: expected a $2a$, $2b$ or $2y$ prefix",
        ),
        (
            "alice",
            &costly,
            "basic_auth: user \"alice\" has a bcrypt cost of 17, above 16: every login would delay all others by many seconds",
        ),
        (
            "al:ice",
            &good,
            "basic_auth: user \"al:ice\" has a colon or a control character in its name (RFC 7617 forbids both)",
        ),
        (
            "al\nice",
            &good,
            "basic_auth: user \"al\\nice\" has a colon or a control character in its name (RFC 7617 forbids both)",
        ),
    ];
    for (name, hash, expected) in table {
        let mut credentials = Credentials::default();
        credentials.add_user(name, hash);
        assert_eq!(
            credentials.faults.first().map(String::as_str).unwrap_or_default(),
            *expected,
            "{name} {hash}"
        );
        // No request is admitted then.
        assert!(credentials.are_required(), "{name} {hash}");
    }
    for token in ["", "=", "two words", "hunter2\n", "größe", "a=b"] {
        let mut credentials = Credentials::default();
        credentials.add_token(token.as_bytes());
        let fault = credentials.faults.first().unwrap();
        assert!(fault.starts_with("bearer_token: ") && !fault.contains("hunter2"), "{token:?}: {fault}");
        assert!(credentials.are_required(), "{token:?}");
    }
    let mut twice = with_users(&[("alice", "secret", 4)]);
    twice.add_user("alice", &good);
    assert_eq!(twice.faults, ["basic_auth: user \"alice\" is defined twice"]);
    assert!(!Credentials::default().are_required());
}

#[test]
fn challenges_name_the_schemes_in_use() {
    let (bearer, basic) = ("Bearer realm=\"metrics\"", "Basic realm=\"metrics\", charset=\"UTF-8\"");
    let users = || with_users(&[("alice", "secret", 4)]);
    let with_token = |mut credentials: Credentials| {
        credentials.add_token(b"token");
        credentials
    };
    let wrong_token = "Bearer realm=\"metrics\", error=\"invalid_token\"";
    // The challenges of a rejected request with no credentials, a token, a password.
    let table = [
        (users(), vec![basic; 3]),
        (with_token(Credentials::default()), vec![bearer, wrong_token, bearer]),
        (with_token(users()), vec![bearer, basic, wrong_token, basic, bearer, basic]),
        (Credentials::default(), vec![bearer, wrong_token, bearer]),
    ];
    for (credentials, expected) in table {
        let requests: [&[&[u8]]; 3] = [&[], &[b"Bearer abc"], &[b"Basic YTpi"]];
        let challenges = |request: &[&'static [u8]]| credentials.challenges(request.iter().copied());
        let challenges: Vec<String> = requests.into_iter().flat_map(challenges).collect();
        assert_eq!(challenges, expected, "{credentials:?}");
    }
}

#[test]
fn debug_prints_no_secrets() {
    let mut credentials = with_users(&[("alice", "secret", 4)]);
    credentials.add_token(b"token");
    credentials.add_token(b"not a token");
    let login = login(&credentials, "alice", "secret");
    let printed = [
        (format!("{credentials:?}"), "Credentials { tokens: 1, users: 1, faults: 1 }"),
        (format!("{login:?}"), "Login { .. }"),
        (format!("{:?}", login.hash), "Hash"),
        (format!("{:?}", login.digest), "LoginDigest"),
        (format!("{:?}", Evaluation::Login(login)), "Login(Login { .. })"),
    ];
    for (printed, expected) in printed {
        assert_eq!(printed, expected);
    }
}

#[test]
fn accepts_usable_hashes_only() {
    let body = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstu0186";
    assert_eq!(body.len(), 53);
    for (prefix, expected) in [
        ("$2a$10$", true),
        ("$2b$10$", true),
        ("$2y$10$", true),
        ("$2y$04$", true),
        ("$2y$09$", true),
        ("$2y$16$", true),
        ("$2y$17$", false),
        ("$2y$31$", false),
        ("$2y$00$", false),
        ("$2y$03$", false),
        ("$2y$32$", false),
        ("$2y$40$", false),
        ("$2y$4$", false),
        ("$2y$010$", false),
        ("$2y$+9$", false),
        ("$2x$10$", false),
        ("$2$10$", false),
        ("$1y$10$", false),
        ("2y$10$", false),
        (" $2y$10$", false),
        ("$2y$10", false),
        ("", false),
    ] {
        assert_eq!(check_hash(&format!("{prefix}{body}")).is_ok(), expected, "{prefix}");
    }
    for body in [
        "",
        &body[..52],
        &format!("{body}a"),
        &format!("{}-", &body[..52]),
        &format!("{}\u{e9}", &body[..51]),
    ] {
        assert!(check_hash(&format!("$2y$10${body}")).is_err(), "{body}");
    }
    assert!(check_hash("doe").is_err());
}
