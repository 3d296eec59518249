//! Files: those that a configuration names, and those by which others judge us.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("prometheus-hyper-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn load(path: &Path) -> Result<Loaded, WebConfigError> {
    super::super::load(path, &mut Files::default())
}

#[test]
fn paths_are_relative_to_the_files_folder() {
    let folder = Folder::new("relative");
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
    let folder = Folder::new("plain");
    assert!(load(&folder.write("web.yml", "rate_limit: {interval: 1s, burst: 1}")).unwrap().pem.is_none());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = Folder::new("missing");
    let missing = folder.0.join("none.yml");
    let error = load(&missing).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let expected = format!("web_config: {}: {}", missing.display(), fs::read(&missing).unwrap_err());
    assert_eq!(error.to_string(), expected);

    folder.write("server.crt", "");
    let path = folder.write("web.yml", "tls_server_config:\n  cert_file: server.crt\n  key_file: none.key\n");
    let error = load(&path).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let missing = folder.0.join("none.key");
    let expected = format!(
        "web_config: {}:3: tls_server_config.key_file: {}: {}",
        path.display(),
        missing.display(),
        fs::read(&missing).unwrap_err()
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_is_not_utf8_has_a_line() {
    let folder = Folder::new("latin1");
    let path = folder.write("web.yml", b"# one\n# two\n# \xe9\n");
    assert_eq!(load(&path).unwrap_err().to_string(), format!("web_config: {}:3: not UTF-8", path.display()));
}

#[test]
fn who_reads_the_pem_says_where_it_stands() {
    let folder = Folder::new("pem");
    folder.write("a", "");
    let path = folder.write("web.yml", "tls_server_config:\n  cert_file: a\n  key_file: a\n");
    let loaded = load(&path).unwrap();
    let error = loaded.config.tls.unwrap().key.error(&path, "holds no private key");
    let expected =
        format!("web_config: {}:3: tls_server_config.key_file: holds no private key", path.display());
    assert_eq!(error.to_string(), expected);
}

/// Those of exporter-toolkit, each with the verdict that it must get. What TLS says is asked elsewhere.
#[test]
#[ignore = "needs SHARED, the folder that holds web-config/; .ci/run judges sets it"]
fn shared_verdicts() {
    let shared = Path::new(&std::env::var_os("SHARED").expect("SHARED")).join("web-config");
    let folder = Folder::new("shared");
    for name in ["server.crt", "server.key", "client_selfsigned.pem", "client2_selfsigned.pem"] {
        folder.write(name, "");
    }
    let readme = fs::read_to_string(shared.join("README.md")).unwrap();
    let rows: Vec<(&str, &str)> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .filter(|(file, _)| *file != "file" && *file != "---")
        .collect();
    let named: BTreeSet<String> = rows.iter().map(|(file, _)| (*file).to_owned()).collect();
    let there: BTreeSet<String> = fs::read_dir(&shared)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    assert_eq!(named, there, "rows and files");
    assert_eq!(named.len(), rows.len(), "one row each");
    for (file, verdict) in rows {
        let path = folder.write(file, fs::read(shared.join(file)).unwrap());
        let got = load(&path);
        let shown = got.as_ref().err().map(|error| error.to_string());
        if let Some(why) = verdict.strip_prefix("error: ") {
            // The verdict's words are the sentence's.
            let words = why.split(',').next().unwrap().to_lowercase();
            let shown = shown.unwrap_or_else(|| panic!("{file} is accepted: {verdict}"));
            assert!(shown.to_lowercase().contains(&words), "{file}: {shown}, not: {verdict}");
            assert!(shown.contains(&format!("{file}:")), "{shown}");
        } else if verdict.contains("then an error that names the curve") {
            let shown = shown.unwrap_or_else(|| panic!("{file} is accepted: {verdict}"));
            assert!(
                ["CurveP521", "X25519", "CurveP256", "CurveP384"].iter().all(|name| shown.contains(name)),
                "{shown}"
            );
        } else {
            assert!(verdict.starts_with("accepted"), "{file}: no verdict: {verdict}");
            let config = got.unwrap_or_else(|error| panic!("{error}, not: {verdict}")).config;
            let expected = usize::from(verdict.contains("with one warning"));
            assert_eq!(config.warnings.len(), expected, "{file}: {:?}", config.warnings);
        }
        fs::remove_file(path).unwrap();
    }
}
