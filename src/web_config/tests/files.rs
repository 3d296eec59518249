//! Files that a configuration names.

use std::fs;

use super::super::*;
use crate::scratch::Scratch;

fn load(path: &Path) -> io::Result<LoadedConfig> {
    super::super::load(path, &mut Files::default())
}

#[test]
fn paths_are_relative_to_the_folder() {
    let folder = Scratch::new("relative");
    folder.write("tls/server.crt", "a certificate");
    let elsewhere = folder.write("elsewhere/server.key", "SECRET");
    let text = format!(
        "tls_server_config:\n  cert_file: tls/server.crt\n  key_file: '{}'\n  client_ca: '-----BEGIN CA'\n  \
         client_auth_type: RequireAndVerifyClientCert\n",
        elsewhere.display()
    );
    let loaded = load(&folder.write("web.yml", text)).unwrap();
    let pem = loaded.pem.unwrap();
    assert_eq!(pem.cert, b"a certificate");
    assert_eq!(pem.key, b"SECRET");
    assert_eq!(pem.client_ca.as_deref(), Some(&b"-----BEGIN CA"[..]));
    assert!(!format!("{pem:?}").contains("SECRET"));
}

#[test]
fn without_tls_no_other_file_is_read() {
    let folder = Scratch::new("plain");
    assert!(load(&folder.write("web.yml", "rate_limit: {interval: 1s, burst: 1}")).unwrap().pem.is_none());
}

#[test]
fn errors_name_a_missing_file() {
    let folder = Scratch::new("missing");
    let missing = folder.0.join("none.yml");
    let error = load(&missing).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let expected = format!("{}: {}", missing.display(), fs::read(&missing).unwrap_err());
    assert_eq!(error.to_string(), expected);

    folder.write("server.crt", "");
    let path = folder.write("web.yml", "tls_server_config:\n  cert_file: server.crt\n  key_file: none.key\n");
    let error = load(&path).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let missing = folder.0.join("none.key");
    let expected = format!(
        "{}:3: tls_server_config.key_file: {}: {}",
        path.display(),
        missing.display(),
        fs::read(&missing).unwrap_err()
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn errors_name_the_line_that_is_not_utf8() {
    let folder = Scratch::new("latin1");
    let path = folder.write("web.yml", b"# one\n# two\n# \xe9\n");
    assert_eq!(load(&path).unwrap_err().to_string(), format!("{}:3: not UTF-8", path.display()));
}

#[test]
fn errors_of_the_pem_name_its_key() {
    let folder = Scratch::new("pem");
    folder.write("a", "");
    let path = folder.write("web.yml", "tls_server_config:\n  cert_file: a\n  key_file: a\n");
    let loaded = load(&path).unwrap();
    let error = loaded.config.tls.unwrap().key.error(&path, "holds no private key");
    let expected = format!("{}:3: tls_server_config.key_file: holds no private key", path.display());
    assert_eq!(error.to_string(), expected);
}
