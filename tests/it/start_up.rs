//! Tests the errors of a program's start. `fn main() -> Result<(), Box<dyn Error>>` prints them with `Debug`.

use std::io;
use std::net::{SocketAddr, TcpListener};

use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Builder, ProbeError, Server};

use crate::support::Scratch;
use crate::support::server::{printed, raw_os_error};

fn builder() -> Builder {
    Server::builder().registry(&Registry::new())
}

/// Regression: errors printed `Custom { kind: NotFound, error: WebConfigError { … problem: Some(Problem {…`.
#[test]
fn start_up_errors_print_a_sentence() {
    let folder = Scratch::new("start-up");
    let missing = folder.path("missing");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let (in_use, not_found) = (io::ErrorKind::AddrInUse, io::ErrorKind::NotFound);
    let invalid = io::ErrorKind::InvalidInput;
    // The builder, the error kind, the beginning of the message, whether the error has a number of the
    // system.
    #[allow(unused_mut, reason = "only some features add rows")]
    let mut table: Vec<(Builder, io::ErrorKind, String, bool)> = vec![
        (builder(), invalid, "listen: there is no address to listen on".to_owned(), false),
        (builder().listen("a b"), invalid, "listen: cannot resolve \"a b\": ".to_owned(), false),
        (builder().listen(&[] as &[SocketAddr]), invalid, "listen: cannot resolve []: ".to_owned(), false),
        (builder().listen(taken), in_use, format!("listen: cannot listen on {taken}: "), true),
        (builder().metrics_path("x"), invalid, "metrics_path: \"x\" ".to_owned(), false),
    ];
    #[cfg(unix)]
    {
        let below = missing.join("socket");
        let sentence = format!("listen_unix: cannot listen on {}: ", below.display());
        table.push((builder().listen_unix(&below), not_found, sentence, true));
        let file = folder.write("file", "");
        let sentence = format!("listen_unix: cannot listen on {}: ", file.display());
        table.push((builder().listen_unix(&file), io::ErrorKind::AlreadyExists, sentence, false));
    }
    #[cfg(all(feature = "systemd", target_os = "linux"))]
    table.push((
        builder().listen_systemd(),
        not_found,
        "listen_systemd: LISTEN_PID is not set".to_owned(),
        false,
    ));
    #[cfg(feature = "tls")]
    {
        let empty = folder.write("empty", "");
        let sentence = format!("tls_files: {}: ", missing.display());
        table.push((builder().listen("127.0.0.1:0").tls_files(&missing, &empty), not_found, sentence, true));
        let sentence = format!("tls_files: {}: no certificate found", empty.display());
        let data = io::ErrorKind::InvalidData;
        table.push((builder().listen("127.0.0.1:0").tls_files(&empty, &empty), data, sentence, false));
    }
    #[cfg(feature = "web-config")]
    {
        let sentence = format!("web_config: {}: ", missing.display());
        table.push((builder().listen("127.0.0.1:0").web_config(&missing), not_found, sentence, true));
        let text = "tls_server_config:\n  cert_file: none.crt\n  key_file: none.key\n";
        let named = folder.write("names.yml", text);
        let sentence = format!("web_config: {}:2: tls_server_config.cert_file: ", named.display());
        table.push((builder().listen("127.0.0.1:0").web_config(&named), not_found, sentence, true));
        let wrong = folder.write("wrong.yml", "users: {}\n");
        let sentence = format!("web_config: {}:1: users: unknown key", wrong.display());
        table.push((builder().listen("127.0.0.1:0").web_config(&wrong), invalid, sentence, false));
    }
    for (builder, kind, beginning, has_number) in table {
        let error = builder.bind().unwrap_err();
        let sentence = error.to_string();
        assert!(sentence.starts_with(&beginning), "{sentence:?}\ndoes not begin with\n{beginning:?}");
        assert_eq!(error.kind(), kind, "{sentence}");
        assert_eq!(raw_os_error(&error).is_some(), has_number, "{sentence}");
        assert_eq!(printed(error), format!("Error: Custom {{ kind: {kind:?}, error: {sentence} }}"));
    }
}

#[test]
fn unresolvable_address_is_in_the_error() {
    // "Special-Use Domain Names": resolvers answer NXDOMAIN (RFC 6761, section 6.4).
    let named = [
        (builder().listen("nobody.invalid:9184"), "listen: cannot resolve \"nobody.invalid:9184\": "),
        (builder().listen(("nobody.invalid", 9184)), "listen: cannot resolve (\"nobody.invalid\", 9184): "),
    ];
    for (builder, beginning) in named {
        let error = builder.bind().unwrap_err().to_string();
        assert!(error.starts_with(beginning), "{error}");
    }
    let error = prometheus_hyper::start("no port").unwrap_err();
    assert!(error.to_string().starts_with("listen: cannot resolve \"no port\": "), "{error}");
}

#[test]
fn probe_errors_print_a_sentence() {
    let table = [
        (ProbeError::bad_request("no such target: \"x\""), "no such target: \"x\""),
        (ProbeError::from("refused"), "refused"),
        (ProbeError::from(io::Error::other("cut")), "cut"),
    ];
    for (error, sentence) in table {
        assert_eq!((format!("{error:?}"), error.to_string()), (sentence.to_owned(), sentence.to_owned()));
    }
}
