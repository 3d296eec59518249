//! Conformance by external suites that know only the address. `.ci/run suites` installs them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use testing::scratch::Scratch;

use super::{Bench, Outcome, Row, check, output};
use crate::driver::HostProgram;

pub const ROWS: &[Row] = &[
    Row {
        name: "schemathesis",
        proves: "the responses of the five paths match faults/openapi.yaml for any request",
        unprotected: Some("naive"),
        run: schemathesis,
    },
    Row {
        name: "redbot",
        proves: "fields, lengths, negotiation and caching follow HTTP",
        unprotected: Some("naive"),
        run: redbot,
    },
    Row {
        name: "sslscan",
        proves: "TLS 1.2 and 1.3 only, strong ciphers, no heartbleed; rustls supports no others",
        unprotected: None,
        run: sslscan,
    },
    Row {
        name: "testssl",
        proves: "no known weakness of TLS; rustls supports none",
        unprotected: None,
        run: testssl,
    },
];

/// Returns the path of a program that `.ci/run` has installed, or its name in the `PATH`.
fn program(variable: &str, name: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| name.to_owned())
}

fn schemathesis(bench: &Bench) -> Outcome {
    let host = bench.host(&["current"])?;
    let description = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.yaml");
    let mut command = Command::new(program("SCHEMATHESIS", "schemathesis"));
    command.arg("run").arg(description).args(["--url", &format!("http://{}", host.addr)]);
    command.args(["--checks", "all", "--max-examples", "100", "--no-color", "--continue-on-failure"]);
    // It writes its findings into its working folder.
    let folder = Scratch::new("schemathesis");
    let output = command.current_dir(&folder.0).output().map_err(|error| format!("schemathesis: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    check(output.status.success(), || format!("{said}{}", String::from_utf8_lossy(&output.stderr)))?;
    let figure = |name: &str| {
        said.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or("?").trim().to_owned()
    };
    let cases = said.lines().find(|line| line.contains("generated")).unwrap_or("?").trim();
    check(cases.contains("passed"), || said.to_string())?;
    Ok(format!("{} operations; {cases}", figure("Tested:")))
}

fn redbot(bench: &Bench) -> Outcome {
    let host = bench.host(&["current"])?;
    let mut notes = 0;
    for path in ["/", "/metrics", "/-/healthy", "/-/ready", "/probe?target=x", "/nowhere", "/probe"] {
        let mut command = Command::new(program("REDBOT", "redbot"));
        let said = command.args(["-o", "har"]).arg(format!("http://{}{path}", host.addr)).output();
        let said = said.map_err(|error| format!("redbot: {error}"))?;
        let json: Value = serde_json::from_slice(&said.stdout)
            .map_err(|error| format!("{path}: {error}: {}", String::from_utf8_lossy(&said.stderr)))?;
        let entry = &json["log"]["entries"][0];
        let status = entry["response"]["status"].as_u64().unwrap_or_default();
        check(status >= 200, || format!("{path}: status {status}"))?;
        let found = entry["_red_messages"].as_array().ok_or_else(|| format!("{path}: no notes"))?;
        check(found.len() >= 3, || format!("{path}: {} notes", found.len()))?;
        notes += found.len();
        for note in found {
            let level = note["level"].as_str().unwrap_or("?");
            // REDbot notes that a 400 is a 400, which this request provokes.
            if status == 400 && note["note_id"] == "STATUS_BAD_REQUEST" {
                continue;
            }
            check(matches!(level, "GOOD" | "INFO"), || format!("{path}: {level}: {}", note["summary"]))?;
        }
    }
    Ok(format!("7 paths, {notes} notes, all good or informational"))
}

/// Starts a host program with a certificate of its own.
pub fn secured(bench: &Bench, name: &str) -> Result<(Scratch, HostProgram), String> {
    let folder = Scratch::new(name);
    let path = |file: &str| folder.0.join(file).to_string_lossy().into_owned();
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args([
        "-days",
        "30",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]);
    openssl.args(["-keyout", &path("key.pem"), "-out", &path("cert.pem")]);
    output(&mut openssl)?;
    let host = bench.host(&["current", &format!("tls={}", folder.0.display())])?;
    Ok((folder, host))
}

fn sslscan(bench: &Bench) -> Outcome {
    let (_folder, host) = secured(bench, "sslscan")?;
    let mut command = Command::new(program("SSLSCAN", "sslscan"));
    let said = output(command.args(["--no-colour", "--show-ciphers", &host.addr.to_string()]))?;
    for line in ["TLSv1.2   enabled", "TLSv1.3   enabled", "TLSv1.1   disabled", "TLSv1.0   disabled"] {
        check(said.contains(line), || format!("{line:?} is missing: {said}"))?;
    }
    for line in ["SSLv2     disabled", "SSLv3     disabled"] {
        check(said.contains(line), || format!("{line:?} is missing: {said}"))?;
    }
    check(!said.lines().any(|line| line.contains(" vulnerable to") && !line.contains("not")), || {
        said.clone()
    })?;
    let ciphers: Vec<&str> =
        said.lines().filter(|line| line.starts_with("Preferred") || line.starts_with("Accepted")).collect();
    check(!ciphers.is_empty(), || said.clone())?;
    for cipher in &ciphers {
        let strong = ["GCM", "CHACHA20"].iter().any(|mode| cipher.contains(mode));
        check(strong, || format!("a weak cipher: {cipher}"))?;
    }
    Ok(format!("{} ciphers, all GCM or ChaCha20; TLS 1.2 and 1.3 only", ciphers.len()))
}

fn testssl(bench: &Bench) -> Outcome {
    let (folder, host) = secured(bench, "testssl")?;
    let json = folder.0.join("testssl.json");
    let mut command = Command::new(program("TESTSSL", "testssl"));
    command.args([
        "--quiet",
        "--color",
        "0",
        "--warnings",
        "off",
        "--ip",
        "one",
        "-p",
        "-U",
        "-s",
        "--jsonfile",
    ]);
    let said = output(command.arg(&json).arg(host.addr.to_string()))?;
    let text = std::fs::read_to_string(&json).map_err(|error| format!("{error}: {said}"))?;
    let findings: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {said}"))?;
    let findings = findings.as_array().ok_or("no findings")?;
    // BREACH needs a secret and an attacker's text in one compressed body. The page is the same for every
    // client, and the metrics contain nothing of a request. A missing feature of this machine's openssl is no
    // finding, either.
    let ours = |finding: &&Value| finding["id"] != "BREACH" && finding["id"] != "engine_problem";
    let findings: Vec<&Value> = findings.iter().filter(ours).collect();
    let of = |severity: &str| findings.iter().filter(|finding| finding["severity"] == severity).count();
    for severity in ["LOW", "MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL"] {
        let found = findings.iter().find(|finding| finding["severity"] == severity);
        check(found.is_none(), || format!("{found:?}"))?;
    }
    check(of("OK") > 20, || format!("only {} findings are good", of("OK")))?;
    Ok(format!("{} findings, {} of them good, none bad", findings.len(), of("OK")))
}
