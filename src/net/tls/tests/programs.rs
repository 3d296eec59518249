//! Third-party clients on loopback ports. Ignored by default, because not every machine has these programs.
//! `cargo test --features tls --lib -- --ignored tls::tests`

use std::process::Output;

use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Runs a program against a server that sends one line to each client.
async fn run(program: &str, arguments: impl FnOnce(&str) -> Vec<String>) -> (Output, String) {
    let ca = ca("ca");
    let config = issue(&ca, &["localhost"]).config();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            let (io, _): (TcpStream, _) = listener.accept().await.unwrap();
            let config = Arc::clone(&config);
            tokio::spawn(async move {
                if let Ok(Some(mut secured)) = handshake(io, || config).await {
                    let _ = secured.write_all(b"welcome\n").await;
                    let _ = secured.shutdown().await;
                }
            });
        }
    });
    let (program, arguments) = (program.to_owned(), arguments(&port.to_string()));
    let output = tokio::task::spawn_blocking(move || {
        std::process::Command::new(program)
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    server.abort();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, text)
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn openssl_finds_no_version_below_1_2() {
    for (version, let_in) in [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
        let arguments = |port: &str| {
            // OpenSSL 3 offers no old version by default.
            let connect = format!("localhost:{port}");
            ["s_client", "-ign_eof", "-connect", &connect, version, "-cipher", "ALL:@SECLEVEL=0"]
                .map(str::to_owned)
                .to_vec()
        };
        let (output, text) = run("openssl", arguments).await;
        assert_eq!(output.status.success(), let_in, "{version}: {text}");
        assert_eq!(text.contains("welcome"), let_in, "{version}: {text}");
        assert!(let_in || text.contains("SSL alert number"), "{version}: {text}");
        assert!(
            !let_in || text.contains("Secure Renegotiation IS supported") || version == "-tls1_3",
            "{text}"
        );
    }
}

#[tokio::test]
#[ignore = "needs sslscan"]
async fn sslscan_finds_no_version_below_1_2() {
    let (output, text) =
        run("sslscan", |port| vec!["--no-colour".to_owned(), format!("localhost:{port}")]).await;
    assert!(output.status.success(), "{text}");
    let state = |protocol: &str| {
        text.lines().find_map(|line| line.strip_prefix(protocol).map(str::trim)).map(str::to_owned)
    };
    for (protocol, expected) in [
        ("SSLv2", "disabled"),
        ("SSLv3", "disabled"),
        ("TLSv1.0", "disabled"),
        ("TLSv1.1", "disabled"),
        ("TLSv1.2", "enabled"),
        ("TLSv1.3", "enabled"),
    ] {
        assert_eq!(state(protocol).as_deref(), Some(expected), "{protocol}: {text}");
    }
    assert!(
        !text.contains("vulnerable to heartbleed") || text.contains("not vulnerable to heartbleed"),
        "{text}"
    );
}

#[tokio::test]
#[ignore = "needs curl"]
async fn curl_over_plain_http_gets_the_https_hint() {
    let (_, text) = run("curl", |port| {
        vec!["--silent".to_owned(), "--include".to_owned(), format!("http://localhost:{port}/")]
    })
    .await;
    assert!(text.starts_with("HTTP/1.0 400") && text.ends_with("to an HTTPS server.\n"), "{text}");
}
