//! What opens the door, and what does not.

use std::collections::HashSet;
use std::iter;

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;

use super::*;

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

fn hash(password: &str, cost: u32, salt: u8) -> String {
    bcrypt::hash_with_salt(password, cost, [salt; 16]).unwrap().to_string()
}

fn keyring(users: &[(&str, &str, u32)]) -> Keyring {
    let mut keyring = Keyring::default();
    for (salt, (name, password, cost)) in (0..).zip(users) {
        keyring.push_user(name, &hash(password, *cost, salt));
    }
    assert_eq!(keyring.faults().first().map(String::as_str), None);
    keyring
}

fn login(keyring: &Keyring, name: &str, password: &str) -> Login {
    match keyring.judge(iter::once(basic(name, password).as_bytes())) {
        Claim::Login(login) => login,
        other => panic!("{name}: {other:?}"),
    }
}

/// How many rounds the verdict takes, and whether he gets in.
fn verify(keyring: &Keyring, name: &str, password: &str) -> (u64, bool) {
    let mut login = login(keyring, name, password);
    for rounds in 1.. {
        if let Some(right) = login.verification.advance(1) {
            return (rounds, right && login.user.is_some());
        }
    }
    unreachable!()
}

#[test]
fn what_a_header_is_worth() {
    let mut keyring = keyring(&[("alice", "secret", 4)]);
    keyring.push_token(b"new-token");
    keyring.push_token(b"old-token==");
    let good = basic("alice", "secret");
    let table: &[(&[&str], &str)] = &[
        (&[], "None"),
        (&["Bearer new-token"], "Proven"),
        (&["bearer  old-token=="], "Proven"),
        (&["Bearer old-token"], "Wrong"),
        (&["Bearer new-toke"], "Wrong"),
        (&["Bearer NEW-TOKEN"], "Wrong"),
        (&["Bearer new-token", "Bearer new-token"], "None"),
        (&["Bearer new-token", &good], "None"),
        (&["Basic new-token"], "None"),
        (&["Token new-token"], "None"),
        (&["new-token"], "None"),
        (&[&good], "Login"),
        (&[&basic("bob", "secret")], "Login"),
    ];
    for (lines, expected) in table {
        let claim = keyring.judge(lines.iter().map(|line| line.as_bytes()));
        assert_eq!(format!("{claim:?}"), *expected, "{lines:?}");
    }
    // There is nothing to verify it against.
    let mut tokens = Keyring::default();
    tokens.push_token(b"token");
    assert_eq!(format!("{:?}", tokens.judge(iter::once(good.as_bytes()))), "Wrong");
}

#[test]
fn who_gets_in() {
    let keyring = keyring(&[("alice", "secret", 4), ("bob", "other", 4), ("", "nobody's", 4)]);
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
        assert_eq!(verify(&keyring, name, password).1, expected, "{name}:{password}");
    }
}

#[test]
fn who_is_unknown_costs_what_some_user_costs_each_time_the_same() {
    let table: &[(&[u32], &[u64])] = &[(&[5], &[32]), (&[4, 4], &[16]), (&[4, 6], &[16, 64])];
    for (costs, expected) in table {
        let users: Vec<(String, u32)> =
            (0..).zip(*costs).map(|(at, cost): (u32, _)| (at.to_string(), *cost)).collect();
        let users: Vec<(&str, &str, u32)> =
            users.iter().map(|(name, cost)| (name.as_str(), "x", *cost)).collect();
        let (keyring, again) = (keyring(&users), keyring(&users));
        let mut seen = HashSet::new();
        for unknown in 0..40 {
            let name = format!("unknown{unknown}");
            let (rounds, admitted) = verify(&keyring, &name, "x");
            assert!(!admitted, "{name}");
            assert_eq!(rounds, verify(&again, &name, "y").0, "{name}");
            seen.insert(rounds);
        }
        assert_eq!(seen, expected.iter().copied().collect(), "{costs:?}");
    }
}

/// CVE-2022-46146, and what is like it: the same bytes, cut elsewhere.
#[test]
fn no_two_logins_share_an_entry() {
    let keyring = keyring(&[("a", "x", 4), ("ab", "x", 4)]);
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
    let mut seen: Vec<Entry> = Vec::new();
    for (name, password) in logins {
        let entry = login(&keyring, name, password).entry;
        assert!(!seen.contains(&entry), "{name}:{password}");
        assert_eq!(entry, login(&keyring, name, password).entry, "{name}:{password}");
        seen.push(entry);
    }
}

#[test]
fn what_can_not_be_used_is_told_without_the_secret() {
    let good = hash("secret", 4, 1);
    let table: &[(&str, &str, &str)] = &[
        ("alice", &good, ""),
        (
            "alice",
            "hunter2",
            "basic_auth: user \"alice\" has no bcrypt hash: it begins with $2a$, $2b$ or $2y$",
        ),
        (
            "al:ice",
            &good,
            "basic_auth: user \"al:ice\" has a colon or a control character in its name, which no client can send (RFC 7617)",
        ),
        (
            "al\nice",
            &good,
            "basic_auth: user \"al\\nice\" has a colon or a control character in its name, which no client can send (RFC 7617)",
        ),
    ];
    for (name, hash, expected) in table {
        let mut keyring = Keyring::default();
        keyring.push_user(name, hash);
        assert_eq!(
            keyring.faults().first().map(String::as_str).unwrap_or_default(),
            *expected,
            "{name} {hash}"
        );
        // What is left out does not open the door.
        assert!(keyring.is_locked(), "{name} {hash}");
    }
    for token in ["", "=", "two words", "hunter2\n", "größe", "a=b"] {
        let mut keyring = Keyring::default();
        keyring.push_token(token.as_bytes());
        let fault = keyring.faults().first().map(String::as_str).unwrap();
        assert!(fault.starts_with("bearer_token: ") && !fault.contains("hunter2"), "{token:?}: {fault}");
        assert!(keyring.is_locked(), "{token:?}");
    }
    let mut twice = keyring(&[("alice", "secret", 4)]);
    twice.push_user("alice", &good);
    assert_eq!(twice.faults().first().map(String::as_str), Some("basic_auth: user \"alice\" is there twice"));
    assert!(!Keyring::default().is_locked());
}

#[test]
fn what_is_asked_for() {
    let (bearer, basic) = ("Bearer realm=\"metrics\"", "Basic realm=\"metrics\", charset=\"UTF-8\"");
    let users = || keyring(&[("alice", "secret", 4)]);
    let with_token = |mut keyring: Keyring| {
        keyring.push_token(b"token");
        keyring
    };
    let table = [
        (users(), vec![basic]),
        (with_token(Keyring::default()), vec![bearer]),
        (with_token(users()), vec![bearer, basic]),
        (Keyring::default(), vec![bearer]),
    ];
    for (keyring, expected) in table {
        assert_eq!(keyring.challenges().collect::<Vec<_>>(), expected, "{keyring:?}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let mut keyring = keyring(&[("alice", "secret", 4)]);
    keyring.push_token(b"token");
    keyring.push_token(b"not a token");
    let mut remembered = Remembered::new(1);
    let login = login(&keyring, "alice", "secret");
    remembered.remember(0, login.entry, Origin::Local);
    let printed = [
        (format!("{keyring:?}"), "Keyring { tokens: 1, users: 1, faults: 1 }"),
        (format!("{login:?}"), "Login { .. }"),
        (format!("{:?}", login.verification), "Verification"),
        (format!("{:?}", login.entry), "Entry"),
        (format!("{remembered:?}"), "Remembered(1)"),
        (format!("{:?}", Claim::Login(login)), "Login"),
    ];
    for (printed, expected) in printed {
        assert_eq!(printed, expected);
    }
}

#[test]
fn texts_that_are_hashes() {
    let body = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstu0186";
    assert_eq!(body.len(), 53);
    for (prefix, expected) in [
        ("$2a$10$", true),
        ("$2b$10$", true),
        ("$2y$10$", true),
        ("$2y$04$", true),
        ("$2y$09$", true),
        ("$2y$18$", true),
        ("$2y$29$", true),
        ("$2y$31$", true),
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
        assert_eq!(is_hash(&format!("{prefix}{body}")), expected, "{prefix}");
    }
    for body in [
        "",
        &body[..52],
        &format!("{body}a"),
        &format!("{}-", &body[..52]),
        &format!("{}\u{e9}", &body[..51]),
    ] {
        assert!(!is_hash(&format!("$2y$10${body}")), "{body}");
    }
    assert!(!is_hash("doe"));
}
