//! Hostile and random texts: no panic, and time and memory proportional to their length.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::yaml::MAX_DEPTH;
use super::super::*;
use super::HASH;

/// Each test takes less than a second without optimization. Anything exponential or quadratic takes longer.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn rejects_bombs_quickly() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    let (mut chain, mut as_high_as_may_be) = (laughs.clone(), String::new());
    for level in 1..1000 {
        let alias = format!("*a{}", level - 1);
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(", ")));
        chain.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
        if level == MAX_DEPTH - 3 {
            as_high_as_may_be = laughs.clone();
        }
    }
    let wide = |line: &dyn Fn(usize) -> String, most: usize| -> String { (0..most).map(line).collect() };
    // Parsed with all its 9^14 nodes, and then rejected because of its keys.
    let error = parse("web.yml", &as_high_as_may_be).unwrap_err();
    assert!(error.to_string().contains("1: a0: unknown key"), "{error}");
    let error = parse("web.yml", &chain).unwrap_err();
    assert!(error.to_string().contains("15: more than 16 levels"), "{error}");
    let table = [
        as_high_as_may_be,
        laughs,
        chain,
        "[".repeat(500_000),
        "{".repeat(500_000),
        "- ".repeat(250_000),
        "? ".repeat(250_000),
        "{a: ".repeat(125_000),
        "&a ".repeat(100_000),
        "!".repeat(500_000),
        "'".repeat(500_000),
        "\"".repeat(500_001),
        "a".repeat(500_000),
        "a ".repeat(250_000),
        " ".repeat(500_000),
        "\n".repeat(500_000),
        "#".repeat(500_000),
        "---\n".repeat(100_000),
        "%".repeat(500_000),
        ": ".repeat(250_000),
        format!("a: |\n{}", " \n".repeat(250_000)),
        wide(&|at| format!("a{at}: &a{at} b\n"), 50_000),
        wide(&|at| format!("a{at}: b\n"), 60_000),
        format!("[{}]", "a, ".repeat(150_000)),
        format!("basic_auth_users:\n{}", wide(&|at| format!("  u{at}: {HASH}\n"), 10_000)),
    ];
    for text in table {
        let begin = Instant::now();
        drop(parse("web.yml", &text));
        let took = begin.elapsed();
        assert!(took < LONG, "{took:?} for {:?}", &text[..text.len().min(40)]);
    }
}

fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop::sample::select(vec![
        "tls_server_config",
        "http_server_config",
        "basic_auth_users",
        "rate_limit",
        "cert_file",
        "key",
        "headers",
        "client_allowed_sans",
        "cipher_suites",
        "curve_preferences",
        "CurveP521",
        "X-Frame-Options",
        "interval",
        "burst",
        "1s",
        "TLS13",
        "-----BEGIN ",
        HASH,
        ":",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "'",
        "\"",
        "&a ",
        "*a",
        "|",
        ">",
        "|2-",
        "!!str ",
        "!",
        "<<",
        "~",
        "null",
        "---\n",
        "...\n",
        "# ",
        "%YAML 1.2",
        "\t",
        "\r\n",
        "\u{feff}",
        "\u{0}",
        "\\",
        "\u{e9}",
        "\u{2028}",
        "@",
        "`",
    ]);
    prop::collection::vec(fragment, 0..60).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn any_text_is_accepted_or_rejected(text in any::<String>()) {
        refuses_well(&text);
    }

    #[test]
    fn any_fragments_are_accepted_or_rejected(text in fragments()) {
        refuses_well(&text);
    }

    /// A valid file of which a part is replaced.
    #[test]
    fn any_damaged_file_is_accepted_or_rejected(at in 0..400_usize, length in 0..20_usize, other in fragments()) {
        let good = format!(
            "tls_server_config:\n  cert_file: a\n  key: |\n    -----BEGIN KEY\n  client_auth_type: NoClientCert\n  \
             cipher_suites:\n  - TLS_AES_128_GCM_SHA256\nhttp_server_config:\n  headers:\n    X-Frame-Options: deny\n\
             basic_auth_users:\n  a: &h {HASH}\n  b: *h\nrate_limit:\n  interval: 1s\n  burst: 3\n"
        );
        prop_assert!(parse("web.yml", &good).is_ok());
        let at = at.min(good.len());
        let end = (at + length).min(good.len());
        refuses_well(&format!("{}{other}{}", &good[..at], &good[end..]));
    }
}

fn refuses_well(text: &str) {
    if let Err(error) = parse("web.yml", text) {
        let error = error.to_string();
        let line: usize = error["web.yml:".len()..].split(':').next().unwrap().parse().unwrap();
        // All line ends of all versions of YAML.
        let lines = 2 + text
            .chars()
            .filter(|c| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'))
            .count();
        assert!((1..=lines).contains(&line), "{error}\n{text:?}");
        assert!(!error.contains(char::is_control), "{error:?}");
        assert!(!error.contains("$2y$10"), "{error}");
    }
}
