//! Tests connections that were accepted under rules that no longer apply.

use std::net::SocketAddr;

use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Builder, Server};

use crate::support::client::{Client, wait_for};
use crate::support::collectors::Gated;
use crate::support::server::start;

use super::tls::{Ca, Pair, TlsClient};
use super::{Scratch, basic, builder, hash};

/// A server's certificate, two client CAs, and a client of each. `clients.pem` contains the first CA.
struct Stage {
    folder: Scratch,
    ca: Ca,
    one: Ca,
    two: Ca,
    of_one: Pair,
    of_two: Pair,
}

impl Stage {
    fn new(name: &str) -> Self {
        let (folder, ca) = (Scratch::new(name), Ca::new("ca"));
        ca.issue(&["localhost"]).write(&folder, "server");
        let (one, two) = (Ca::new("one"), Ca::new("two"));
        folder.write("clients.pem", one.pem());
        let (of_one, of_two) = (one.issue(&["a.example", "b.example"]), two.issue(&["a.example"]));
        Stage { folder, ca, one, two, of_one, of_two }
    }

    fn client<'s>(&'s self, pair: &'s Pair) -> TlsClient<'s> {
        let mut client = TlsClient::trusting(&self.ca);
        client.shows = Some(pair);
        client
    }

    fn text(&self, more: &str) -> String {
        format!(
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: clients.pem\n  \
             client_auth_type: RequireAndVerifyClientCert\n{more}"
        )
    }

    fn web_config(&self, more: &str) -> Builder {
        builder(self.folder.write("web.yml", self.text(more)))
    }

    fn tls_files(&self) -> Builder {
        let path = |name: &str| self.folder.path(name);
        let builder = Server::builder().registry(&Registry::new());
        builder.tls_files(path("server.crt"), path("server.key")).tls_client_ca(path("clients.pem"))
    }
}

/// Regression: clients accepted by the old CA or names continued to scrape until their connection ended.
#[test]
fn idle_connections_end_when_client_verification_changes() {
    type Row = (&'static str, fn(&Stage) -> Builder, fn(&Stage));
    let table: &[Row] = &[
        (
            "another CA",
            |stage| stage.web_config(""),
            |stage| {
                stage.folder.write("clients.pem", stage.two.pem());
            },
        ),
        (
            "another name",
            |stage| stage.web_config("  client_allowed_sans: [a.example]\n"),
            |stage| {
                stage.folder.write("web.yml", stage.text("  client_allowed_sans: [c.example]\n"));
            },
        ),
        (
            "names where there were none",
            |stage| stage.web_config(""),
            |stage| {
                stage.folder.write("web.yml", stage.text("  client_allowed_sans: [c.example]\n"));
            },
        ),
        ("another CA, of tls_client_ca", Stage::tls_files, |stage| {
            stage.folder.write("clients.pem", stage.two.pem());
        }),
    ];
    for (what, builder, change) in table {
        let stage = Stage::new("revoked");
        let (_guard, addr) = start(builder(&stage));
        let mut idle = stage.client(&stage.of_one).keep(addr);
        idle.send("/metrics");
        let head = idle.answer();
        assert!(head.starts_with("HTTP/1.1 200 ") && !head.contains("connection: close"), "{what}: {head}");
        // A connection without a request yet.
        let mut fresh = stage.client(&stage.of_one).keep(addr);
        // No client sends a request meanwhile.
        change(&stage);
        idle.closed();
        fresh.closed();
        let outcome = stage.client(&stage.of_one).outcome(addr);
        assert!(["UnknownCA", "AccessDenied"].contains(&outcome.as_str()), "{what}: {outcome}");
    }
}

#[test]
fn busy_connections_end_with_their_response() {
    let stage = Stage::new("answered");
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let (_guard, addr) = start(stage.web_config("").registry(&registry));
    let mut asking = stage.client(&stage.of_one).keep(addr);
    asking.send("/metrics");
    gated.wait_for_gathers(1);
    stage.folder.write("clients.pem", stage.two.pem());
    let health = || stage.client(&stage.of_two).fetch(addr, "/-/healthy", "").map(|answer| answer.status);
    wait_for("the other CA", || health() == Ok(200));
    gated.open();
    let head = asking.answer();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("connection: close"), "{head}");
    asking.closed();
}

#[test]
fn connections_stay_if_no_client_loses_access() {
    let stage = Stage::new("stays");
    let (_guard, addr) = start(stage.web_config(""));
    let mut kept = stage.client(&stage.of_one).keep(addr);
    let other = stage.ca.issue(&["localhost", "other"]);
    let shown = || stage.client(&stage.of_one).hello(addr).unwrap().certificate == other.der();
    other.write(&stage.folder, "server");
    wait_for("the other certificate", shown);
    kept.send("/metrics");
    assert!(kept.answer().starts_with("HTTP/1.1 200 "));
    let header = "http_server_config: {headers: {X-Frame-Options: deny}}\n";
    stage.folder.write("web.yml", stage.text(header));
    let has_header = || {
        let answer = stage.client(&stage.of_one).fetch(addr, "/metrics", "").unwrap();
        answer.header("x-frame-options") == Some("deny")
    };
    wait_for("the header", has_header);
    kept.send("/metrics");
    let head = kept.answer();
    assert!(head.contains("x-frame-options: deny") && !head.contains("connection: close"), "{head}");
    // An additional CA makes another set of CAs.
    stage.folder.write("clients.pem", format!("{}{}", stage.one.pem(), stage.two.pem()));
    kept.closed();
    assert_eq!([&stage.of_one, &stage.of_two].map(|pair| stage.client(pair).outcome(addr)), ["200", "200"]);
}

fn kept(addr: SocketAddr, user: &str) -> Client {
    let mut client = Client::connect(addr);
    client.send(format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{}\r\n", basic(user, user)));
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.header("connection")), (200, None), "{answer:?}");
    client
}

#[test]
fn removed_user_or_new_password_closes_idle_connections() {
    let folder = Scratch::new("users-revoked");
    let users = |names: &[(&str, &str)]| {
        let users = names.iter().map(|(name, password)| format!("  {name}: {}\n", hash(password)));
        format!("basic_auth_users:\n{}", users.collect::<String>())
    };
    let changes = [users(&[("two", "two")]), users(&[("one", "other"), ("two", "two")])];
    for changed in changes {
        let path = folder.write("web.yml", users(&[("one", "one"), ("two", "two")]));
        let (_guard, addr) = start(builder(path));
        let mut clients = ["one", "two"].map(|user| kept(addr, user));
        folder.write("web.yml", changed);
        // All connections close. A client that still may log in connects again.
        for client in &mut clients {
            assert_eq!(client.closed(), "");
        }
        kept(addr, "two");
    }
}
