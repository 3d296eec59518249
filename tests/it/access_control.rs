//! Tests which clients may connect and log in.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Builder, Server};

use crate::support::client::{Client, Response, connect_from};
use crate::support::server::start;

fn server(options: impl FnOnce(Builder) -> Builder) -> (prometheus_hyper::Guard, SocketAddr) {
    start(options(Server::builder().registry(&Registry::new())))
}

fn ask(addr: SocketAddr, path: &str, headers: &str) -> Response {
    let mut client = Client::connect(addr);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n"));
    client.answer(false)
}

#[test]
fn only_listed_addresses_may_connect() {
    let loopback = |last: u8| IpAddr::from([127, 0, 0, last]);
    let (_guard, addr) = server(|builder| builder.allow_network("127.0.0.2/31").allow_network("127.0.0.8"));
    for (from, allowed) in [(1, false), (2, true), (3, true), (4, false), (8, true), (9, false)] {
        let mut client = Client::from(connect_from(loopback(from), addr));
        if allowed {
            client.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
            let answer = client.answer(false);
            assert_eq!(answer.status, 200, "from {from}");
            let series = "prometheus_exporter_denied_total{reason=\"address\"}";
            assert!(answer.sample(series).is_some(), "from {from}: {}", answer.body);
        } else {
            assert_eq!(client.closed(), "", "from {from}: closed without a response");
        }
    }
    let mut client = Client::from(connect_from(loopback(2), addr));
    client.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(
        client.answer(false).sample("prometheus_exporter_denied_total{reason=\"address\"}"),
        Some(3.0)
    );
}

#[test]
fn dual_stack_socket_matches_ipv4_peers_as_ipv4() {
    let (guard, _) = {
        let builder = Server::builder().registry(&Registry::new()).allow_network("127.0.0.1");
        let guard = builder.listen("[::]:0").bind().unwrap().start().unwrap();
        let addr = guard.local_addr().unwrap();
        (guard, addr)
    };
    let port = guard.local_addr().unwrap().port();
    let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port));
    assert_eq!(Client::connect(v6).closed(), "", "::1 is not on the list");
    if std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|only| only.trim() == "0") {
        assert_eq!(ask(([127, 0, 0, 1], port).into(), "/metrics", "").status, 200);
    }
}

#[cfg(unix)]
#[test]
fn address_list_ignores_peers_on_a_unix_socket() {
    let folder = crate::support::Scratch::new("allow");
    let path = folder.0.join("s");
    let builder = Server::builder().registry(&Registry::new()).allow_network("10.0.0.0/8");
    let _guard = builder.listen_unix(&path).bind().unwrap().start().unwrap();
    assert!(crate::support::client::get_unix(&path).starts_with("HTTP/1.1 200 "));
}

#[test]
fn rate_limit_returns_429_and_exempts_health() {
    let hour = Duration::from_secs(3600);
    let (_guard, addr) = server(|builder| builder.rate_limit(hour, 3));
    for path in ["/metrics", "/", "/nowhere"] {
        assert_ne!(ask(addr, path, "").status, 429, "{path}");
    }
    for path in ["/metrics", "/", "/nowhere"] {
        let answer = ask(addr, path, "");
        assert_eq!(answer.status, 429, "{path}");
        let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((3000..=3600).contains(&retry_after), "{path}: {retry_after}");
    }
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(ask(addr, path, "").status, 200, "{path}");
    }

    let (_guard, addr) = server(|builder| builder.rate_limit(hour, 1).auth_for_health(true));
    assert_eq!(ask(addr, "/-/ready", "").status, 200);
    for path in ["/metrics", "/-/healthy", "/-/ready"] {
        assert_eq!(ask(addr, path, "").status, 429, "{path}: requests for readiness count");
    }
}

/// Regression: a web page read `/metrics` and `/probe` by DNS rebinding. Only the page at `/` checked Host.
#[test]
fn allowed_hosts_apply_to_every_path_except_health() {
    let (_guard, addr) = server(|builder| {
        let builder = builder.allowed_hosts(["metrics.internal", "::1"]);
        builder.probe("/probe", |_| async { Ok(Registry::new()) })
    });
    let hosts = [
        ("GET PATH HTTP/1.1\r\nHost: metrics.internal\r\n", true),
        ("GET PATH HTTP/1.1\r\nHost: METRICS.internal:9184\r\n", true),
        ("GET PATH HTTP/1.1\r\nHost: [0:0::1]:1\r\n", true),
        ("GET http://metrics.internalPATH HTTP/1.1\r\nHost: metrics.internal\r\n", true),
        ("GET PATH HTTP/1.1\r\nHost: rebound.example\r\n", false),
        ("GET PATH HTTP/1.1\r\nHost: metrics.internal.rebound.example\r\n", false),
        ("GET http://rebound.examplePATH HTTP/1.1\r\nHost: metrics.internal\r\n", false),
        ("GET http://metrics.internal:9184PATH HTTP/1.1\r\n", true),
        ("GET http://rebound.examplePATH HTTP/1.1\r\n", false),
        ("GET PATH HTTP/1.0\r\n", false),
        ("HEAD PATH HTTP/1.1\r\nHost: rebound.example\r\n", false),
        ("OPTIONS PATH HTTP/1.1\r\nHost: rebound.example\r\n", false),
        ("POST PATH HTTP/1.1\r\nHost: rebound.example\r\n", false),
    ];
    // Path, status of a GET with an allowed Host, and whether the server checks Host.
    let paths = [
        ("/metrics", 200, true),
        ("/probe?target=x", 200, true),
        ("/", 200, true),
        ("/nowhere", 404, true),
        ("/-/nowhere", 404, true),
        ("/-/healthy", 200, false),
        ("/-/ready", 200, false),
    ];
    let mut rejected = 0;
    for (path, status, guarded) in paths {
        for (head, allowed) in hosts {
            let head = head.replace("PATH", path);
            let mut client = Client::connect(addr);
            client.send(format!("{head}\r\n"));
            let answer = client.answer(head.starts_with("HEAD"));
            if guarded && !allowed {
                assert_eq!(answer.status, 403, "{head}");
                assert!(!answer.body.contains("rebound"), "{head}: {answer:?}");
                rejected += 1;
            } else if head.starts_with("GET") || head.starts_with("HEAD") {
                assert_eq!(answer.status, status, "{head}");
            } else {
                assert_ne!(answer.status, 403, "{head}");
            }
        }
    }
    let mut client = Client::connect(addr);
    client.send("GET /metrics HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    let series = "prometheus_exporter_denied_total{reason=\"host\"}";
    assert_eq!(client.answer(false).sample(series), Some(f64::from(rejected)));
}

/// Valid credentials do not help, because a browser sends the ones that it has stored.
#[cfg(feature = "auth")]
#[test]
fn allowed_hosts_are_checked_before_credentials() {
    let (_guard, addr) = server(|builder| builder.allowed_hosts(["metrics.internal"]).bearer_token("t"));
    for token in ["t", "x"] {
        let headers = format!("Authorization: Bearer {token}\r\n");
        assert_eq!(ask(addr, "/metrics", &headers).status, 403, "{token}: Host is localhost");
    }
}

#[test]
fn allowed_hosts_apply_to_a_mounted_handler() {
    use http::Request;
    use hyper::service::Service;

    let handler = Server::builder()
        .registry(&Registry::new())
        .allowed_hosts(["metrics.internal"])
        .into_handler()
        .unwrap();
    let runtime = crate::support::runtime::current_thread();
    let table = [
        (Request::get("/mounted").header("host", "metrics.internal:80"), 200),
        (Request::get("/mounted").header("host", "rebound.example"), 403),
        (Request::get("/mounted"), 403),
        // In HTTP/2, the URI has the host.
        (Request::get("http://metrics.internal/mounted"), 200),
        (Request::get("http://rebound.example/mounted"), 403),
    ];
    for (request, status) in table {
        let request = request.body(()).unwrap();
        let shown = format!("{request:?}");
        assert_eq!(runtime.block_on(handler.call(request)).unwrap().status().as_u16(), status, "{shown}");
    }
}

#[test]
fn bind_rejects_invalid_values() {
    type Options = fn(Builder) -> Builder;
    let table: &[(Options, &str)] = &[
        (|builder| builder.allow_network("10.0.0.0/33"), "allow_network: \"10.0.0.0/33\""),
        (|builder| builder.allow_network(""), "allow_network: \"\""),
        (|builder| builder.allowed_hosts(["a:1"]), "allowed_hosts: \"a:1\""),
        (|builder| builder.allowed_hosts([""; 0]), "allowed_hosts: an empty list"),
        (
            |builder| builder.rate_limit(Duration::ZERO, 1),
            "rate_limit: interval and burst must be above zero",
        ),
        (|builder| builder.rate_limit(Duration::MAX, 0), "rate_limit: interval and burst must be above zero"),
        #[cfg(feature = "auth")]
        (|builder| builder.bearer_token("s3cret\n"), "bearer_token: "),
        #[cfg(feature = "auth")]
        (|builder| builder.basic_auth("u", "s3cret"), "basic_auth: user \"u\""),
        #[cfg(feature = "tls")]
        (|builder| builder.tls_client_ca("/x"), "tls_client_ca: without tls_files"),
        #[cfg(feature = "tls")]
        (|builder| builder.tls_files("/nowhere/cert", "/nowhere/key"), "tls_files: /nowhere/cert"),
        #[cfg(feature = "web-config")]
        (|builder| builder.web_config("/x").bearer_token("a"), "web_config: /x: bearer_token"),
        #[cfg(feature = "web-config")]
        (|builder| builder.web_config("/x").tls_files("a", "b"), "web_config: /x: tls"),
        #[cfg(feature = "web-config")]
        (|builder| builder.web_config("/nowhere/web.yml"), "web_config: /nowhere/web.yml"),
    ];
    for (options, beginning) in table {
        let builder = options(Server::builder().registry(&Registry::new()));
        let error = builder.listen("127.0.0.1:0").bind().expect_err(beginning).to_string();
        assert!(error.starts_with(beginning), "{beginning}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[cfg(feature = "auth")]
mod credentials {
    use std::time::Instant;

    use prometheus_hyper::Guard;

    use super::*;
    use crate::support::client::{PATIENCE, ask_and_be_heard, basic};
    use crate::support::log::logged;

    /// Hashes `dave:dave123` at the least cost.
    fn hash() -> String {
        bcrypt::hash("dave123", 4).unwrap()
    }

    fn bearer(token: &str) -> String {
        format!("Authorization: Bearer {token}\r\n")
    }

    fn locked() -> (Guard, SocketAddr) {
        server(|builder| {
            builder.bearer_token("old-token").bearer_token("new-token").basic_auth("dave", hash())
        })
    }

    #[test]
    fn only_valid_token_or_password_authenticates() {
        let (_guard, addr) = locked();
        let table = [
            (bearer("old-token"), 200),
            (bearer("new-token"), 200),
            (bearer("new-token").replace("Bearer", "bEARER"), 200),
            (basic("dave:dave123"), 200),
            // The server has cached this login.
            (basic("dave:dave123"), 200),
            (bearer("other-token"), 401),
            (bearer(""), 401),
            (basic("dave:wrong"), 401),
            (basic("dave:"), 401),
            (basic("nobody:dave123"), 401),
            (basic("dave"), 401),
            (format!("{}{}", bearer("new-token"), bearer("new-token")), 401),
            ("Authorization: Digest x\r\n".to_owned(), 401),
            (format!("Authorization: {}\r\n", "x".repeat(8000)), 401),
            (String::new(), 401),
        ];
        for (headers, status) in table {
            let answer = ask(addr, "/metrics", &headers);
            assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
            if status == 401 {
                let challenges: Vec<&str> =
                    answer.head.lines().filter_map(|line| line.strip_prefix("www-authenticate: ")).collect();
                // RFC 6750, section 3.1.
                let error = if headers == bearer("other-token") { ", error=\"invalid_token\"" } else { "" };
                let bearer = format!("Bearer realm=\"metrics\"{error}");
                let expected = [&bearer, "Basic realm=\"metrics\", charset=\"UTF-8\""];
                assert_eq!(challenges, expected, "{headers:?}");
                assert!(!answer.body.contains("prometheus"), "{headers:?}: {answer:?}");
            }
        }
    }

    #[test]
    fn all_paths_except_health_require_login() {
        let (_guard, addr) = locked();
        for path in ["/metrics", "/", "/nowhere", "/-/nowhere"] {
            assert_eq!(ask(addr, path, "").status, 401, "{path}");
        }
        assert_eq!(ask(addr, "/nowhere", &bearer("new-token")).status, 404);
        for path in ["/-/healthy", "/-/ready"] {
            assert_eq!(ask(addr, path, "").status, 200, "{path}");
        }
        let (_guard, addr) = server(|builder| builder.bearer_token("t").auth_for_health(true));
        for path in ["/-/healthy", "/-/ready"] {
            assert_eq!(ask(addr, path, "").status, 401, "{path}");
            assert_eq!(ask(addr, path, &bearer("t")).status, 200, "{path}");
        }
    }

    #[test]
    fn rate_limits_failed_logins_but_not_cached_ones() {
        let (_guard, addr) = locked();
        assert_eq!(ask(addr, "/metrics", &basic("dave:dave123")).status, 200);
        let begun = Instant::now();
        let mut statuses: Vec<u16> =
            (0..20).map(|n| ask(addr, "/metrics", &basic(&format!("dave:guess-{n}"))).status).collect();
        statuses.push(ask(addr, "/metrics", &bearer("guess")).status);
        // The limit allows one more login each six seconds, and a busy machine may take that long.
        let most = 10 + usize::try_from(begun.elapsed().as_secs() / 6).unwrap();
        let wrong = statuses.iter().filter(|status| **status == 401).count();
        let limited = statuses.iter().filter(|status| **status == 429).count();
        assert_eq!((&statuses[..10], wrong + limited), (&[401; 10][..], 21), "{statuses:?}");
        assert!(wrong <= most, "{statuses:?}: {wrong} failed, the limit is {most}");
        let answer = ask(addr, "/metrics", &basic("dave:dave123"));
        assert_eq!(answer.status, 200, "this address has logged in before");
        let rejected =
            |reason: &str| answer.sample(&format!("prometheus_exporter_denied_total{{reason=\"{reason}\"}}"));
        let counted = (rejected("wrong_credentials"), rejected("failures"));
        assert_eq!(counted, (Some(wrong as f64), Some(limited as f64)));
        assert_eq!(ask(addr, "/metrics", &bearer("new-token")).status, 200, "a correct token is not limited");
    }

    #[test]
    fn no_credential_is_in_the_log_or_in_debug() {
        let builder = Server::builder().registry(&Registry::new());
        let hash = hash();
        let builder = builder.bearer_token("t0ken-secret").basic_auth("dave", &hash);
        let shown = format!("{builder:?}");
        assert!(!shown.contains("t0ken") && !shown.contains(&hash), "{shown}");
        let log = logged(builder, |addr| {
            for headers in [
                bearer("t0ken-secret"),
                bearer("t0ken-guess"),
                basic("dave:dave123"),
                basic("dave:p4ssword-guess"),
                basic("p4ssword-as-name:x"),
                "Authorization: t0ken-secret\r\n".to_owned(),
            ] {
                ask(addr, "/metrics", &headers);
            }
        });
        assert!(log.contains("request rejected"), "{log}");
        for secret in ["t0ken", "dave123", "p4ssword", "ZGF2ZTpkYXZlMTIz", &hash] {
            assert!(!log.contains(secret), "{secret}: {log}");
        }
    }

    /// Regression: requests without valid credentials used up the rate limit of Prometheus.
    #[test]
    fn failed_logins_do_not_count_towards_the_rate_limit() {
        let hour = Duration::from_secs(3600);
        let (_guard, addr) = server(|builder| {
            builder.bearer_token("new-token").basic_auth("dave", hash()).rate_limit(hour, 2)
        });
        let strangers = [String::new(), bearer("guess"), basic("dave:guess"), basic("nobody:guess")];
        for headers in strangers.iter().cycle().take(40) {
            let answer = ask(addr, "/metrics", headers);
            // Above ten failures from one address the response is 429, independent of the rate limit.
            assert!(matches!(answer.status, 401 | 429), "{headers:?}: {answer:?}");
        }
        let right = bearer("new-token");
        let answer = ask(addr, "/metrics", &right);
        assert_eq!(answer.status, 200, "{answer:?}");
        let rate = "prometheus_exporter_denied_total{reason=\"rate\"}";
        assert_eq!(answer.sample(rate), Some(0.0), "{answer:?}");
        assert_eq!(ask(addr, "/nowhere", &right).status, 404);
        let answer = ask(addr, "/metrics", &right);
        assert_eq!(answer.status, 429, "the burst is two: {answer:?}");
        let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!(retry_after > 3000, "{answer:?}");
    }

    /// Regression: login and scrape each had the whole scrape timeout, and Prometheus gave up before the
    /// response.
    #[test]
    fn login_counts_towards_the_scrape_timeout() {
        let whole = 2 * PATIENCE;
        let (tell, told) = std::sync::mpsc::channel();
        let slow = bcrypt::hash("dave123", 12).unwrap();
        let builder = Server::builder().registry(&Registry::new()).basic_auth("dave", slow);
        // A probe reads the deadline of its scrape.
        let builder = builder.scrape_timeout(whole).probe("/probe", move |probe| {
            let _ = tell.send(probe.deadline());
            async { Ok(Registry::new()) }
        });
        let (_guard, addr) = start(builder);
        let mut client = ask_and_be_heard(addr, "/probe", &basic("dave:dave123"));
        // The deadline is set by now, and the login usually still runs.
        let heard = Instant::now();
        assert_eq!(client.answer(false).status, 200);
        let over = told.recv().unwrap();
        // Regression: the whole timeout began again after the login.
        assert!(over <= heard + whole, "{:?} too late", over - (heard + whole));
    }

    #[test]
    fn mounted_handler_requires_login() {
        use http::Request;
        use hyper::service::Service;

        let handler = Server::builder().registry(&Registry::new()).bearer_token("t").into_handler().unwrap();
        let runtime = crate::support::runtime::current_thread();
        let status = |token: &str| {
            let request =
                Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap();
            runtime.block_on(handler.call(request)).unwrap().status().as_u16()
        };
        assert_eq!((status("t"), status("x")), (200, 401));
        // An invalid token is an error, because a handler without it would accept every request.
        let error = Server::builder().registry(&Registry::new()).bearer_token("no token").into_handler();
        assert!(error.unwrap_err().to_string().starts_with("bearer_token: "));
    }
}
