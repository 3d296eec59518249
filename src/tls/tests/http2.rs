//! HTTP/2 that was negotiated: a request and its response, by clients that others wrote.

use std::convert::Infallible;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::body::Body;

/// Serves one connection as [`Tls`] and [`crate::http2`] have it.
async fn serve<I>(config: Arc<ServerConfig>, io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let secured = handshake(io, || config).await.unwrap();
    assert!(secured.is_http2());
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(Response::new(Body::from(
            format!("{:?} ", request.version()).repeat(50_000).leak() as &str,
        )))
    });
    // A client that has gone does not hear our farewell, which is an error.
    let _ = crate::connection::http2::builder(Duration::from_secs(60))
        .serve_connection(TokioIo::new(secured), service)
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_h2_crate_gets_what_it_asks_for() {
    let ca = ca("ca");
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    let server = tokio::spawn(serve(issue(&ca, &["localhost"]).config(), ours));
    let mut client = client(&ca, None, ALL_VERSIONS);
    client.alpn_protocols = vec![b"h2".to_vec()];
    let (requests, connection) = h2::client::handshake(connect(theirs, client).await.unwrap()).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut requests = requests.ready().await.unwrap();
    let request = Request::builder().uri("https://localhost/").body(()).unwrap();
    let mut body = requests.send_request(request, true).unwrap().0.await.unwrap().into_body();
    let mut length = 0;
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        length += data.len();
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert_eq!(length, 450_000);
    drop((requests, body));
    connection.await.unwrap().unwrap();
    server.await.unwrap();
}

#[tokio::test]
#[ignore = "needs curl"]
async fn curl_gets_what_it_asks_for() {
    let ca = ca("ca");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = issue(&ca, &["localhost"]).config();
    let server = tokio::spawn(async move { serve(config, listener.accept().await.unwrap().0).await });
    let file = std::env::temp_dir().join(format!("prometheus-hyper-tls-{}-ca.pem", std::process::id()));
    std::fs::write(&file, ca.pem()).unwrap();
    let mut curl = std::process::Command::new("curl");
    curl.args(["--silent", "--show-error", "--http2", "--cacert"]).arg(&file);
    curl.args(["--output", "/dev/null", "--write-out", "%{http_version} %{size_download}"]);
    curl.arg(format!("https://localhost:{port}/"));
    let output = tokio::task::spawn_blocking(move || curl.output().unwrap()).await.unwrap();
    std::fs::remove_file(file).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2 450000", "{output:?}");
    server.await.unwrap();
}
