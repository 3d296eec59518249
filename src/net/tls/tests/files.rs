//! Certificates that are replaced while the server runs.

use std::fs;

use super::*;
use crate::auth::grants::Grants;
use crate::scratch::Scratch;

fn write_pair(folder: &Scratch, pair: &Pair) -> Paths {
    let certificates = folder.write("tls.crt", &pair.certificate);
    Paths { certificates, key: folder.write("tls.key", &pair.key), client_ca: None }
}

/// Returns two of the server's own metrics: whether the last reload succeeded, and when the certificate expires.
fn gauges(telemetry: &Telemetry) -> Vec<f64> {
    // Encoded as text, because the API of a gauge's value depends on `prometheus/protobuf`.
    let text = prometheus::TextEncoder::new().encode_to_string(&telemetry.families()).unwrap();
    let value = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("prometheus_exporter_tls_certificate_{name} ")));
        line.map(|value| value.parse().unwrap())
    };
    ["reload_success", "expiry_timestamp_seconds"].into_iter().filter_map(value).collect()
}

/// Returns whether a new connection gets this certificate after a check.
async fn shows(tls: &Tls, ca: &Ca, pair: &Pair) -> bool {
    tls.look();
    let (_server, client) = meet_tls(tls, client(ca, None, ALL_VERSIONS)).await;
    client.unwrap().get_ref().1.peer_certificates().unwrap()[0] == pair.der().0[0]
}

/// Advances the clock by two checks, of which the first runs here. A change takes effect at the second.
async fn next_version(tls: &Tls) {
    // Twice as long, because the files were read before the clock was paused.
    tokio::time::advance(crate::util::reload::LOOK_EVERY * 2).await;
    tls.look();
    tokio::time::advance(crate::util::reload::LOOK_EVERY).await;
}

#[tokio::test(start_paused = true)]
async fn reloads_a_good_certificate_and_keeps_it_over_broken_ones() {
    let folder = Scratch::new("reload");
    let (ca, telemetry) = (ca("ca"), Arc::new(Telemetry::new()));
    let (first, second) = (issue(&ca, &["localhost"]), issue(&ca, &["localhost"]));
    assert_eq!(gauges(&telemetry).len(), 0, "without files there are no gauges");
    let paths = write_pair(&folder, &first);
    let tls = Tls::from_files(paths.clone(), &telemetry, &Grants::default()).unwrap();
    let expiry = CertificateParams::default().not_after.unix_timestamp() as f64;
    assert_eq!(gauges(&telemetry), [1.0, expiry]);
    assert!(shows(&tls, &ca, &first).await);

    // One after the other, so that they do not match in between.
    folder.write("tls.crt", &second.certificate);
    assert!(shows(&tls, &ca, &first).await, "within the second");
    tokio::time::advance(crate::util::reload::LOOK_EVERY * 2).await;
    assert!(shows(&tls, &ca, &first).await);
    assert_eq!(gauges(&telemetry), [1.0, expiry], "the first look");
    next_version(&tls).await;
    assert!(shows(&tls, &ca, &first).await);
    assert_eq!(gauges(&telemetry), [0.0, expiry]);
    folder.write("tls.key", &second.key);
    next_version(&tls).await;
    assert!(shows(&tls, &ca, &second).await);
    assert_eq!(gauges(&telemetry), [1.0, expiry]);

    // An empty, a truncated and a missing file, then a good one.
    for broken in [Some(""), Some("-----BEGIN CERTIFICATE-----\n"), None] {
        match broken {
            Some(text) => drop(folder.write("tls.crt", text)),
            None => fs::remove_file(&paths.certificates).unwrap(),
        }
        next_version(&tls).await;
        assert!(shows(&tls, &ca, &second).await);
        assert_eq!(gauges(&telemetry), [0.0, expiry], "{broken:?}");
    }
    write_pair(&folder, &first);
    next_version(&tls).await;
    // A check at a scrape is enough.
    tls.look();
    assert_eq!(gauges(&telemetry), [1.0, expiry]);
    assert!(shows(&tls, &ca, &first).await);
}

#[tokio::test(start_paused = true)]
async fn the_expiry_gauge_follows_the_certificate_in_use() {
    let folder = Scratch::new("expiry");
    let (ca, telemetry) = (ca("ca"), Arc::new(Telemetry::new()));
    let until = |year| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 5, 17);
        let certificate = params.signed_by(&key, &ca).unwrap();
        // The CA has another expiry.
        let pair = Pair { certificate: certificate.pem() + &ca.pem(), key: key.serialize_pem() };
        (pair, params.not_after.unix_timestamp() as f64)
    };
    let (pair, expiry) = until(2040);
    let tls = Tls::from_files(write_pair(&folder, &pair), &telemetry, &Grants::default()).unwrap();
    assert_eq!(gauges(&telemetry), [1.0, expiry]);
    let (pair, expiry) = until(2060);
    write_pair(&folder, &pair);
    next_version(&tls).await;
    tls.look();
    assert_eq!(gauges(&telemetry), [1.0, expiry]);
}

/// Kubernetes links tls.crt to ..data/tls.crt and ..data to a dated folder, and replaces the link ..data by renaming.
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn reloads_a_replaced_kubernetes_secret() {
    use std::os::unix::fs::symlink;
    let folder = Scratch::new("kubernetes");
    let (ca, telemetry) = (ca("ca"), Arc::new(Telemetry::new()));
    let pairs = [issue(&ca, &["localhost"]), issue(&ca, &["localhost"])];
    for (n, pair) in pairs.iter().enumerate() {
        fs::create_dir(folder.0.join(format!("..{n}"))).unwrap();
        folder.write(&format!("..{n}/tls.crt"), &pair.certificate);
        folder.write(&format!("..{n}/tls.key"), &pair.key);
    }
    symlink("..0", folder.0.join("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), folder.0.join(name)).unwrap();
    }
    let paths =
        Paths { certificates: folder.0.join("tls.crt"), key: folder.0.join("tls.key"), client_ca: None };
    let tls = Tls::from_files(paths, &telemetry, &Grants::default()).unwrap();
    assert!(shows(&tls, &ca, &pairs[0]).await);
    symlink("..1", folder.0.join("..data_tmp")).unwrap();
    fs::rename(folder.0.join("..data_tmp"), folder.0.join("..data")).unwrap();
    fs::remove_dir_all(folder.0.join("..0")).unwrap();
    next_version(&tls).await;
    assert!(shows(&tls, &ca, &pairs[1]).await);
    assert_eq!(gauges(&telemetry)[0], 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_new_client_ca_applies_to_the_next_connection() {
    let folder = Scratch::new("client-ca");
    let (server_ca, old, new) = (ca("server"), ca("old"), ca("new"));
    let mut paths = write_pair(&folder, &issue(&server_ca, &["localhost"]));
    paths.client_ca = Some(folder.write("ca.crt", old.pem()));
    let tls = Tls::from_files(paths, &Arc::new(Telemetry::new()), &Grants::default()).unwrap();
    // The same client configuration each time, which would resume its session if it could.
    let client = client(&server_ca, Some(&issue(&old, &["prometheus"])), ALL_VERSIONS);
    let come = async || {
        tls.look();
        meet_tls(&tls, client.clone()).await.0.is_ok()
    };
    assert!(come().await && come().await);
    folder.write("ca.crt", new.pem());
    next_version(&tls).await;
    assert!(!come().await);
    folder.write("ca.crt", format!("{}{}", old.pem(), new.pem()));
    next_version(&tls).await;
    assert!(come().await);
}

#[test]
fn errors_name_the_option_and_the_file() {
    let folder = Scratch::new("named");
    let ca = ca("ca");
    let pair = issue(&ca, &["localhost"]);
    let good = write_pair(&folder, &pair);
    let (missing, empty) = (folder.0.join("missing"), folder.write("empty", ""));
    let (gone, bad) = (io::ErrorKind::NotFound, io::ErrorKind::InvalidData);
    let table = [
        (Paths { certificates: missing.clone(), ..good.clone() }, gone, "tls_files", &missing),
        (Paths { key: missing.clone(), ..good.clone() }, gone, "tls_files", &missing),
        (Paths { client_ca: Some(missing.clone()), ..good.clone() }, gone, "tls_client_ca", &missing),
        (Paths { certificates: empty.clone(), ..good.clone() }, bad, "tls_files", &empty),
        (Paths { key: empty.clone(), ..good.clone() }, bad, "tls_files", &empty),
        (Paths { client_ca: Some(empty.clone()), ..good.clone() }, bad, "tls_client_ca", &empty),
    ];
    for (paths, kind, option, path) in table {
        let telemetry = Arc::new(Telemetry::new());
        let error = Tls::from_files(paths, &telemetry, &Grants::default()).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().starts_with(&format!("{option}: {}: ", path.display())), "{error}");
        assert_eq!(gauges(&telemetry).len(), 0);
    }
}
