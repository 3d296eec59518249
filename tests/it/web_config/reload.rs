//! Tests reloads. The server checks the file at most once a second, so these tests poll until the reload.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::client::{Client, Response, wait_for};
use crate::support::log::{Log, logged_to};
use crate::support::runtime::current_thread;
use crate::support::server::start;
use crate::support::{CHILD, run_alone};

use super::tls::{Ca, TlsClient};
use super::tls_keys::PLAIN_HTTP;
use super::{Scratch, basic, builder, fetch, logged, warnings};

const GAUGE: &str = "prometheus_exporter_web_config_reload_success";
const EXPIRY: &str = "prometheus_exporter_tls_certificate_expiry_timestamp_seconds";

fn users(names: &[&str]) -> String {
    // The same salt each time, because a changed hash counts as a changed password.
    let hash = |name: &str| bcrypt::hash_with_salt(name, 4, [7; 16]).unwrap().to_string();
    let users = names.iter().map(|name| format!("  {name}: {}\n", hash(name)));
    format!("basic_auth_users:\n{}", users.collect::<String>())
}

/// Scrapes as a user whose password is the user name.
fn scrape(addr: SocketAddr, name: &str) -> Response {
    fetch(addr, "/metrics", &basic(name, name))
}

#[test]
fn reload_adds_and_removes_users() {
    let folder = Scratch::new("users-reload");
    let path = folder.write("web.yml", users(&["one"]));
    let (_guard, addr) = start(builder(path));
    let ask = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{}\r\n", basic("one", "one"));
    let mut kept = Client::connect(addr);
    let status = |kept: &mut Client| {
        kept.send(&ask);
        kept.answer(false).status
    };
    assert_eq!((status(&mut kept), scrape(addr, "two").status), (200, 401));
    assert_eq!(scrape(addr, "one").sample(GAUGE), Some(1.0));

    folder.write("web.yml", users(&["one", "two"]));
    wait_for("the second user", || scrape(addr, "two").status == 200);
    assert_eq!(status(&mut kept), 200, "adding a user closes no connection");

    folder.write("web.yml", users(&["two"]));
    wait_for("the end of the first user", || scrape(addr, "one").status == 401);
    assert_eq!(kept.closed(), "", "removing the user closes the connection");
    assert_eq!(scrape(addr, "two").status, 200);

    let users = users(&["two"]);
    folder.write("web.yml", format!("{users}http_server_config: {{headers: {{X-Frame-Options: deny}}}}\n"));
    wait_for("the new header", || fetch(addr, "/metrics", "").header("x-frame-options") == Some("deny"));
    assert_eq!(scrape(addr, "two").status, 200);

    folder.write("web.yml", format!("{users}rate_limit: {{interval: 1h, burst: 0}}\n"));
    wait_for("the limit", || scrape(addr, "two").status == 429);
    assert_eq!(fetch(addr, "/metrics", "").status, 401);
}

/// Regression: an editor that writes in place empties the file for a moment, and the server then served
/// without a login.
#[test]
fn reload_cannot_disable_authentication() {
    let folder = Scratch::new("emptied");
    let path = folder.write("web.yml", users(&["one"]));
    let (_guard, addr) = start(builder(&path));
    assert_eq!(scrape(addr, "one").sample(GAUGE), Some(1.0));
    for emptied in ["", "http_server_config: {headers: {X-Frame-Options: deny}}\n"] {
        fs::write(&path, emptied).unwrap();
        wait_for("a 0", || scrape(addr, "one").sample(GAUGE) == Some(0.0));
        assert_eq!(fetch(addr, "/metrics", "").status, 401, "{emptied:?}");
        fs::write(&path, users(&["one"])).unwrap();
        wait_for("a 1", || scrape(addr, "one").sample(GAUGE) == Some(1.0));
    }
}

/// Regression: a file took effect whose hashes all had a cost above 16. No user could log in before a
/// restart.
#[test]
fn reload_without_a_usable_user_is_rejected() {
    let folder = Scratch::new("unusable-users");
    let (one, costly) = (users(&["one"]), users(&["one"]).replace("$04$", "$17$"));
    let path = folder.write("web.yml", &one);
    let log = logged(builder(&path), |addr| {
        let gauge = || scrape(addr, "one").sample(GAUGE);
        assert_eq!(gauge(), Some(1.0));
        folder.write("web.yml", &costly);
        wait_for("a 0", || gauge() == Some(0.0));
        folder.write("web.yml", &one);
        wait_for("a 1", || gauge() == Some(1.0));
    });
    let warnings = warnings(&log);
    assert_eq!(warnings.len(), 1, "{log}");
    let expected = "web.yml: basic_auth_users: none of the users can log in; this change needs a restart";
    assert!(warnings[0].contains("keeping the last good one") && warnings[0].contains(expected), "{log}");
    // At the start, the server accepts the file, as exporter-toolkit does, and warns about the user.
    let log = logged(builder(folder.write("web.yml", &costly)), |addr| {
        assert_eq!(scrape(addr, "one").status, 401);
    });
    assert!(log.contains("basic_auth_users.one: a bcrypt cost of 17, above 16"), "{log}");
}

/// Regression: each version of the file had new counters of failed logins, so a changed header reset them.
#[test]
fn reload_keeps_the_failed_logins_of_unchanged_users() {
    let folder = Scratch::new("kept-gate");
    let users = users(&["one"]);
    let path = folder.write("web.yml", &users);
    let (_guard, addr) = start(builder(&path));
    assert_eq!(scrape(addr, "one").status, 200);
    let guess = || fetch(addr, "/metrics", &basic("one", "guess")).status;
    wait_for("the limit of guesses", || guess() == 429);
    folder.write("web.yml", format!("{users}http_server_config: {{headers: {{X-Frame-Options: deny}}}}\n"));
    // The valid user can log in meanwhile.
    wait_for("the new header", || {
        let answer = scrape(addr, "one");
        assert_eq!(answer.status, 200);
        answer.header("x-frame-options") == Some("deny")
    });
    assert!((0..8).any(|_| guess() == 429), "the limit allows one more login each six seconds");
}

#[test]
fn mounted_handler_follows_its_file() {
    use hyper::service::Service;

    let folder = Scratch::new("handler-reload");
    let path = folder.write("web.yml", users(&["one"]));
    let handler = builder(&path).into_handler().unwrap();
    let runtime = current_thread();
    let status = |name: &str| {
        let header = basic(name, name);
        let credentials = header.trim_end().strip_prefix("Authorization: ").unwrap();
        let request = http::Request::get("/").header("authorization", credentials).body(()).unwrap();
        runtime.block_on(handler.call(request)).unwrap().status().as_u16()
    };
    assert_eq!((status("one"), status("two")), (200, 401));
    folder.write("web.yml", users(&["two"]));
    wait_for("the new user", || status("two") == 200);
    assert_eq!(status("one"), 401);
}

#[test]
fn relative_path_keeps_its_directory() {
    run_alone("web_config::reload::child_that_changes_its_directory", "", &[]);
}

/// Runs in a child process of the test above, because the directory is that of the whole process. A daemon changes it
/// to `/`.
#[test]
#[ignore = "run by another test"]
fn child_that_changes_its_directory() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    let (folder, other) = (Scratch::new("relative"), Scratch::new("relative-other"));
    folder.write("web.yml", users(&["one"]));
    other.write("web.yml", users(&["mallory"]));
    std::env::set_current_dir(&folder.0).unwrap();
    let (_guard, addr) = start(builder("web.yml"));
    std::env::set_current_dir(&other.0).unwrap();
    folder.write("web.yml", users(&["two"]));
    wait_for("the new user", || scrape(addr, "two").status == 200);
    assert_eq!(scrape(addr, "mallory").status, 401);
}

#[test]
fn broken_file_keeps_last_good_config_and_warns_once() {
    let folder = Scratch::new("broken-reload");
    let good = format!("{}rate_limit: {{burst: 3}}\n", users(&["one"]));
    let path = folder.write("web.yml", &good);
    let gauge = |addr| {
        let answer = scrape(addr, "one");
        assert_eq!(answer.status, 200, "the last valid file still applies: {answer:?}");
        answer.sample(GAUGE)
    };
    // The text, and the expected warning. `None` deletes the file.
    let unknown = format!("{good}users: {{}}\n");
    let table: [(Option<&str>, &str); 3] = [
        (Some(&unknown), "web.yml:4: users: unknown key"),
        (Some("basic_auth_users: {"), "web.yml:2: "),
        (None, "web.yml: "),
    ];
    let log = logged(builder(&path), |addr| {
        assert_eq!(gauge(addr), Some(1.0));
        // The last one occurs again within a minute.
        for (broken, _) in table.iter().chain(table.last()) {
            match broken {
                Some(text) => drop(folder.write("web.yml", text)),
                None => fs::remove_file(&path).unwrap(),
            }
            wait_for("a 0", || gauge(addr) == Some(0.0));
            // Long enough for two more checks of the file.
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(2100) {
                assert_eq!(gauge(addr), Some(0.0), "{broken:?}");
                assert_eq!(fetch(addr, "/metrics", "").status, 401, "{broken:?}");
            }
            folder.write("web.yml", &good);
            wait_for("a 1", || gauge(addr) == Some(1.0));
        }
    });
    let mut warnings = warnings(&log);
    assert!(warnings.remove(0).contains("a burst without an interval has no effect"), "at the start: {log}");
    assert_eq!(warnings.len(), table.len(), "one warning for each: {log}");
    for (line, (_, expected)) in warnings.iter().zip(table) {
        assert!(line.contains("keeping the last good one") && line.contains(expected), "{expected}: {line}");
    }
    let again = log.lines().filter(|line| line.contains("web-config file reloaded")).count();
    assert_eq!(again, table.len(), "one reload for each warning: {log}");
}

/// Other programs can write to the folder, so the serving thread must not block on its files.
#[cfg(unix)]
#[test]
fn pipe_in_place_of_the_file_does_not_block_the_server() {
    let folder = Scratch::new("pipe-reload");
    let good = users(&["one"]);
    let path = folder.write("web.yml", &good);
    let (_guard, addr) = start(builder(&path));
    assert_eq!(scrape(addr, "one").sample(GAUGE), Some(1.0));
    let pipe = folder.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::rename(&pipe, &path).unwrap();
    wait_for("a 0", || scrape(addr, "one").sample(GAUGE) == Some(0.0));
    assert_eq!(fetch(addr, "/metrics", "").status, 401);
    folder.write("web.yml", &good);
    wait_for("a 1", || scrape(addr, "one").sample(GAUGE) == Some(1.0));
}

#[test]
fn reload_cannot_enable_or_disable_tls() {
    let folder = Scratch::new("tls-reload");
    let ca = Ca::new("ca");
    ca.issue(&["localhost"]).write(&folder, "server");
    let secured = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    for (first, second) in [(secured, ""), ("", secured)] {
        let path = folder.write("web.yml", first);
        let is_secured = first == secured;
        let gauge = |addr| {
            let answer = match is_secured {
                true => TlsClient::trusting(&ca).fetch(addr, "/metrics", "").unwrap(),
                false => fetch(addr, "/metrics", ""),
            };
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.sample(GAUGE)
        };
        let log = logged(builder(&path), |addr| {
            assert_eq!(gauge(addr), Some(1.0));
            folder.write("web.yml", second);
            wait_for("a 0", || gauge(addr) == Some(0.0));
            let plain = fetch(addr, "/metrics", "");
            let expected = if is_secured { (400, true) } else { (200, false) };
            assert_eq!((plain.status, plain.body == PLAIN_HTTP), expected, "{first:?}: {plain:?}");
            let outcome = TlsClient::trusting(&ca).outcome(addr);
            assert_eq!(outcome == "200", is_secured, "{first:?}: {outcome}");
            folder.write("web.yml", format!("{first}http_server_config: {{}}\n"));
            wait_for("a 1", || gauge(addr) == Some(1.0));
        });
        let warnings = warnings(&log);
        assert_eq!(warnings.len(), 1, "{log}");
        let expected = match is_secured {
            true => "web.yml: tls_server_config: no longer configures TLS; this change needs a restart",
            false => {
                "web.yml: tls_server_config: configures TLS, but the server started without it; this change"
            }
        };
        assert!(warnings[0].contains(expected), "{first:?}: {log}");
    }
}

/// Regression: a file without its last key, `client_allowed_sans`, took effect. Any certificate of that CA
/// was accepted. Emptying the file afterwards kept that version.
#[test]
fn truncated_file_keeps_the_allowed_names() {
    let folder = Scratch::new("cut");
    let ca = Ca::new("ca");
    ca.issue(&["localhost"]).write(&folder, "server");
    folder.write("ca.pem", ca.pem());
    let (allowed, other) = (ca.issue(&["prometheus.example"]), ca.issue(&["other.example"]));
    let cut = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: ca.pem\n  \
               client_auth_type: RequireAndVerifyClientCert\n";
    let whole = format!("{cut}  client_allowed_sans: [prometheus.example]\n");
    let path = folder.write("web.yml", &whole);
    let log = Log::default();
    logged_to(&log, builder(&path), |addr| {
        let client = |pair| {
            let mut client = TlsClient::trusting(&ca);
            client.shows = Some(pair);
            client
        };
        let gauge = || client(&allowed).fetch(addr, "/metrics", "").unwrap().sample(GAUGE);
        let other_is_refused = || assert_eq!(client(&other).outcome(addr), "AccessDenied");
        assert_eq!(gauge(), Some(1.0));
        for (n, text) in [cut, ""].into_iter().enumerate() {
            // Writes in place, as an editor that is killed during its write.
            fs::write(&path, text).unwrap();
            wait_for("a line in the log", || gauge() == Some(0.0) && warnings(&log.text()).len() > n);
            other_is_refused();
        }
        folder.write("web.yml", format!("{whole}# mended\n"));
        wait_for("a 1", || gauge() == Some(1.0));
        other_is_refused();
        // The list of names may change as a whole. The next version is compared with the one in effect.
        folder.write("web.yml", whole.replace("prometheus.example", "prometheus.example, other.example"));
        wait_for("the other name", || client(&other).outcome(addr) == "200");
    });
    let log = log.text();
    let warnings = warnings(&log);
    let expected = [
        "web.yml: client_allowed_sans: no longer lists allowed clients; this change needs a restart",
        "web.yml: tls_server_config: no longer configures TLS; this change needs a restart",
    ];
    assert_eq!(warnings.len(), expected.len(), "{log}");
    for (line, expected) in warnings.iter().zip(expected) {
        assert!(line.contains("keeping the last good one") && line.contains(expected), "{expected}: {log}");
    }
}

#[test]
fn reload_cannot_disable_the_rate_limit() {
    let folder = Scratch::new("limit-reload");
    let limit = "rate_limit: {interval: 1h, burst: 100000}\n";
    let path = folder.write("web.yml", limit);
    let log = logged(builder(&path), |addr| {
        let gauge = || fetch(addr, "/metrics", "").sample(GAUGE);
        assert_eq!(gauge(), Some(1.0));
        folder.write("web.yml", "");
        wait_for("a 0", || gauge() == Some(0.0));
        folder.write("web.yml", limit.replace("100000", "0"));
        wait_for("the new limit", || fetch(addr, "/metrics", "").status == 429);
    });
    let warnings = warnings(&log);
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("web.yml: rate_limit: no longer limits requests"), "{log}");
}

#[test]
fn certificate_is_replaced_once_its_key_is_there() {
    let folder = Scratch::new("swap");
    let ca = Ca::new("ca");
    let (old, new) = (ca.issue(&["localhost"]), ca.issue(&["localhost", "other"]));
    old.write(&folder, "server");
    let text = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    let (_guard, addr) = start(builder(folder.write("web.yml", text)));
    let client = TlsClient::trusting(&ca);
    let gauge = || client.fetch(addr, "/metrics", "").unwrap().sample(GAUGE);
    let shown = || match client.hello(addr).unwrap().certificate {
        shown if shown == old.der() => "old",
        shown if shown == new.der() => "new",
        _ => "another",
    };
    assert_eq!((shown(), gauge()), ("old", Some(1.0)));
    assert!(client.fetch(addr, "/metrics", "").unwrap().sample(EXPIRY).is_some());

    folder.write("server.crt", &new.certificate);
    wait_for("a 0", || gauge() == Some(0.0));
    assert_eq!(shown(), "old", "the new certificate does not match the old key");

    folder.write("server.key", &new.key);
    wait_for("the new certificate", || shown() == "new");
    assert_eq!(gauge(), Some(1.0));
}

#[test]
fn reload_changes_the_client_ca() {
    let folder = Scratch::new("ca-reload");
    let ca = Ca::new("ca");
    ca.issue(&["localhost"]).write(&folder, "server");
    let (one, two) = (Ca::new("one"), Ca::new("two"));
    let (of_one, of_two) = (one.issue(&["a"]), two.issue(&["a"]));
    folder.write("clients.pem", one.pem());
    let text = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: clients.pem\n  \
                client_auth_type: RequireAndVerifyClientCert\n";
    let (_guard, addr) = start(builder(folder.write("web.yml", text)));
    let outcome = |pair| {
        let mut client = TlsClient::trusting(&ca);
        client.shows = Some(pair);
        client.outcome(addr)
    };
    assert_eq!([&of_one, &of_two].map(outcome), ["200", "UnknownCA"]);
    folder.write("clients.pem", two.pem());
    wait_for("the other CA", || outcome(&of_two) == "200");
    assert_eq!([&of_one, &of_two].map(outcome), ["UnknownCA", "200"]);
}
