//! Scans a server with sslscan and OpenSSL. They also scan OpenSSL's server with every weak option, which
//! shows that they find what they look for.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use prometheus_hyper::Guard;

use super::certificates::Authority;
use super::start;
use crate::support::Scratch;
use testing::process::{Ended, Process, tool};

/// An XML tag with its attributes.
struct Tag<'x>(&'x str);

impl<'x> Tag<'x> {
    /// Returns all tags with this name. sslscan writes one tag a line, and no `>` in a value.
    fn all(xml: &'x str, name: &str) -> Vec<Tag<'x>> {
        let begin = format!("<{name} ");
        let tags = xml.lines().filter_map(|line| line.trim().strip_prefix(begin.as_str()));
        tags.map(Tag).collect()
    }

    fn attribute(&self, name: &str) -> &'x str {
        let value = self.0.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
        value.unwrap_or_else(|| panic!("no {name}: {}", self.0)).0
    }
}

/// Returns the weaknesses in sslscan's report.
fn findings(xml: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let protocols: Vec<(String, &str)> = Tag::all(xml, "protocol")
        .iter()
        .map(|tag| (tag.attribute("type").to_owned() + tag.attribute("version"), tag.attribute("enabled")))
        .collect();
    let expected =
        [("ssl2", "0"), ("ssl3", "0"), ("tls1.0", "0"), ("tls1.1", "0"), ("tls1.2", "1"), ("tls1.3", "1")]
            .map(|(protocol, enabled)| (protocol.to_owned(), enabled));
    if protocols != expected {
        findings.push(format!("protocols: {protocols:?}"));
    }
    let ciphers = Tag::all(xml, "cipher");
    let versions = |version| ciphers.iter().filter(|tag| tag.attribute("sslversion") == version).count();
    if versions("TLSv1.2") == 0 || versions("TLSv1.3") == 0 {
        findings.push("ciphers: sslscan has found none".to_owned());
    }
    for tag in ciphers {
        let (version, name) = (tag.attribute("sslversion"), tag.attribute("cipher"));
        let forward_secret = version == "TLSv1.3" || name.starts_with("ECDHE-");
        let authenticated = name.contains("GCM") || name.contains("CHACHA20");
        let strong = ["strong", "acceptable"].contains(&tag.attribute("strength"));
        if !forward_secret || !authenticated || !strong {
            findings.push(format!("cipher: {version} {name} {}", tag.attribute("strength")));
        }
    }
    for (name, attribute) in [("heartbleed", "vulnerable"), ("compression", "supported")] {
        for tag in Tag::all(xml, name).iter().filter(|tag| tag.attribute(attribute) != "0") {
            findings.push(format!("{name}: {}", tag.0));
        }
    }
    if Tag::all(xml, "heartbleed").is_empty() {
        findings.push("heartbleed: sslscan has not checked it".to_owned());
    }
    // sslscan requests a renegotiation in TLS 1.2.
    let renegotiation: Vec<&str> =
        Tag::all(xml, "renegotiation").iter().map(|tag| tag.attribute("supported")).collect();
    if renegotiation != ["0"] {
        findings.push(format!("renegotiation: {renegotiation:?}"));
    }
    findings
}

/// OpenSSL's server with every weak option.
struct Weak {
    process: Process,
    addr: SocketAddr,
}

impl Weak {
    fn start(scratch: &Scratch) -> Self {
        let mut command = Command::new(tool("OPENSSL", "openssl"));
        command
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-www",
                "-cipher",
                "ALL:COMPLEMENTOFALL:@SECLEVEL=0",
            ])
            .args(["-min_protocol", "TLSv1", "-client_renegotiation", "-cert"])
            .arg(scratch.path("server.crt"))
            .arg("-key")
            .arg(scratch.path("server.key"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = Process::spawn(&mut command);
        let lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let mut addrs =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("ACCEPT ")?.parse().ok());
        let addr = addrs.next().expect("s_server prints its address");
        Weak { process, addr }
    }
}

fn serve() -> (Scratch, Guard, SocketAddr) {
    let (scratch, ours) = (Scratch::new("interop"), Authority::new("ours"));
    ours.write(&scratch, "ours.crt");
    ours.issue(&["localhost"]).write(&scratch, "server");
    let files = (scratch.path("server.crt"), scratch.path("server.key"));
    let (guard, addr) = start(|builder| builder.tls_files(files.0, files.1));
    (scratch, guard, addr)
}

#[test]
#[ignore = "needs sslscan and openssl: .ci/run programs"]
fn sslscan_finds_no_weakness() {
    let (scratch, _guard, addr) = serve();
    let scan = |addr: SocketAddr| {
        let mut sslscan = Command::new(tool("SSLSCAN", "sslscan"));
        let report = scratch.run(sslscan.args(["--no-colour", "--xml=-"]).arg(addr.to_string()), "");
        assert!(report.status.success(), "{report}");
        report.stdout
    };
    let report = scan(addr);
    println!("{report}");
    assert_eq!(findings(&report), [""; 0], "{report}");

    let mut weak = Weak::start(&scratch);
    let report = scan(weak.addr);
    let findings = findings(&report);
    for expected in [
        r#"("tls1.0", "1"), ("tls1.1", "1")"#,
        r#"renegotiation: ["1"]"#,
        "cipher: TLSv1.1 ",
        "cipher: TLSv1.2 ECDHE-ECDSA-AES128-SHA ",
        "cipher: TLSv1.2 ADH-AES128-SHA anonymous",
    ] {
        let found = findings.iter().any(|finding| finding.contains(expected));
        assert!(found, "{expected}: not in {findings:#?}\n{report}");
    }
    weak.process.end();
}

#[test]
#[ignore = "needs openssl: .ci/run programs"]
fn openssl_gets_only_new_versions_and_no_renegotiation() {
    let (scratch, _guard, addr) = serve();
    let connect = |addr: SocketAddr, arguments: &[&str], says: &str| -> (String, Ended) {
        let mut openssl = Command::new(tool("OPENSSL", "openssl"));
        openssl.args(["s_client", "-connect", &addr.to_string(), "-servername", "localhost", "-CAfile"]);
        openssl.arg(scratch.path("ours.crt")).args(arguments);
        // By default, OpenSSL 3 offers no old version.
        openssl.args(["-cipher", "ALL:@SECLEVEL=0"]);
        let ended = scratch.run(&mut openssl, says);
        (format!("{arguments:?}: {ended}"), ended)
    };
    let mut weak = Weak::start(&scratch);

    for (version, let_in) in [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
        let (shown, ended) = connect(addr, &[version], "Q\n");
        assert_eq!(ended.status.success(), let_in, "{shown}");
        assert_eq!(ended.stdout.contains("Verify return code: 0 (ok)\n") && let_in, let_in, "{shown}");
        assert_eq!(ended.stderr.contains("SSL alert number "), !let_in, "{shown}");
        assert!(ended.stdout.contains("Compression: NONE\n"), "{shown}");
        // This client can use the old versions.
        let (shown, ended) = connect(weak.addr, &[version], "Q\n");
        assert!(ended.status.success(), "{shown}");
    }

    let (shown, ended) = connect(weak.addr, &["-tls1_2"], "R\nQ\n");
    assert!(ended.status.success() && ended.stderr.contains("RENEGOTIATING"), "{shown}");
    let (shown, ended) = connect(addr, &["-tls1_2"], "R\nQ\n");
    assert!(!ended.status.success() && ended.stderr.contains("RENEGOTIATING"), "{shown}");
    assert!(ended.stderr.contains("no renegotiation"), "{shown}");
    weak.process.end();
}
