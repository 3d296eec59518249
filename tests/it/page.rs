//! The page at `/`: its headers and its options.

use std::io::ErrorKind;
use std::net::SocketAddr;

use prometheus_hyper::collector::BuildInfo;
use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Builder, Guard, Page, Server};

use crate::support::client::{Client, get};

fn serve(configure: impl FnOnce(Builder) -> Builder) -> (Guard, SocketAddr) {
    let server = configure(Server::builder().registry(&Registry::new())).listen("127.0.0.1:0");
    let guard = server.bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    (guard, addr)
}

const POLICY: &[&str] = &[
    "default-src 'none'",
    "script-src 'sha256-",
    "style-src 'sha256-",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
];

#[test]
fn page_has_a_content_security_policy_and_metrics_have_none() {
    let (_guard, addr) = serve(|builder| builder);
    for method in ["GET", "HEAD"] {
        let mut client = Client::connect(addr);
        client.send(format!("{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        let page = client.answer(method == "HEAD");
        assert_eq!(page.status, 200, "{method}: {}", page.head);
        let policy = page.header("content-security-policy").unwrap_or_default();
        for directive in POLICY {
            assert!(
                policy.split("; ").any(|part| part.starts_with(directive)),
                "{method}: {directive}: {policy}"
            );
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{method}: {policy}");
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"), "{method}");
        assert_eq!(page.header("vary"), Some("Accept-Encoding"), "{method}");
    }
    for path in ["/metrics", "/-/healthy", "/nowhere"] {
        let answer = get(addr, path);
        assert_eq!(answer.header("content-security-policy"), None, "{path}");
        assert_eq!(answer.header("referrer-policy"), None, "{path}");
    }
}

#[test]
fn root_is_404_without_a_landing_page() {
    let (guard, addr) = serve(|builder| builder.landing_page(None));
    assert!(guard.page_urls().is_empty());
    for (request, status) in [("GET", 404), ("HEAD", 404), ("OPTIONS", 404), ("POST", 404)] {
        let mut client = Client::connect(addr);
        client.send(format!("{request} / HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(client.answer(request == "HEAD").status, status, "{request}");
    }
    assert_eq!(get(addr, "/metrics").status, 200);
    // The last call wins.
    let (_guard, addr) = serve(|builder| builder.landing_page(None).landing_page(Page::new("again")));
    assert!(get(addr, "/").body.contains("<h1>again</h1>"));
}

#[test]
fn page_has_the_most_specific_name_and_version() {
    let info = || BuildInfo::new("my-service", "1.2.3");
    let said = || Page::new("Said").version("4").description("What it is").link("More", "/more");
    let table: [(&str, Builder, &[&str]); 4] = [
        ("executable", Server::builder(), &["<h1>it-"]),
        ("build info", Server::builder().build_info(info()), &["<h1>my-service <small>1.2.3</small></h1>"]),
        (
            "page before build info",
            Server::builder().build_info(info()).landing_page(Page::new("Said")),
            &["<title>Said</title>", "<h1>Said <small>1.2.3</small></h1>"],
        ),
        (
            "all of a page",
            Server::builder().build_info(info()).landing_page(said()),
            &[
                "<h1>Said <small>4</small></h1>",
                "<p>What it is</p>",
                "<a href=\"/more\" rel=\"noreferrer\">More</a>",
            ],
        ),
    ];
    for (row, builder, parts) in table {
        let (_guard, addr) = serve(|_| builder.registry(&Registry::new()));
        let body = get(addr, "/").body;
        for part in parts {
            assert!(body.contains(part), "{row}: {part}: {body}");
        }
    }
}

#[test]
fn page_escapes_user_texts() {
    let evil = "\"'&<script>alert(1)</script><!--";
    let page = Page::new(evil).description(evil).version(evil).link(evil, "/\"><script>alert(1)</script>");
    let (_guard, addr) = serve(|builder| builder.landing_page(page));
    let body = get(addr, "/").body;
    assert_eq!(body.matches("<script").count(), 1, "{body}");
    assert!(!body.contains("alert(1)</script>") && !body.contains("<!--"), "{body}");
    assert!(body.contains("&quot;&#39;&amp;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!--"), "{body}");
}

#[test]
fn bind_rejects_links_that_run_code() {
    for address in
        ["javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "//elsewhere.example", "docs"]
    {
        let page = Page::new("Linked").link("Good", "https://example.org").link("Bad", address);
        let error = Server::builder().landing_page(page.clone()).listen("127.0.0.1:0").bind().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address}");
        let message = error.to_string();
        assert!(message.starts_with("landing_page: ") && message.contains(address), "{address}: {message}");
        // A mounted handler does not support `landing_page`.
        let message = Server::builder().landing_page(page).into_handler().unwrap_err().to_string();
        assert!(message.starts_with("landing_page: a mounted handler has no"), "{message}");
    }
}

#[cfg(feature = "gzip")]
#[test]
fn page_is_compressed_if_the_client_accepts_it() {
    let ask = |addr, accept: &str| {
        let mut client = Client::connect(addr);
        client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {accept}\r\n\r\n"));
        let head = client.head();
        let body = client.body_bytes(&head);
        (head, body)
    };
    let (_guard, addr) = serve(|builder| builder);
    let (_, plain) = ask(addr, "identity");
    for _ in 0..2 {
        let (head, body) = ask(addr, "gzip");
        assert_eq!(head.header("content-encoding"), Some("gzip"), "{}", head.head);
        assert!(body.len() <= 20_000, "{} bytes", body.len());
        // gzip has a header of ten bytes and a trailer of eight (RFC 1952, section 2.3). Between them is deflate.
        let inflated = miniz_oxide::inflate::decompress_to_vec(&body[10..body.len() - 8]).unwrap();
        assert!(inflated == plain, "the compressed page differs");
    }
    let (_guard, addr) = serve(|builder| builder.compression(false));
    let (head, body) = ask(addr, "gzip");
    assert_eq!(head.header("content-encoding"), None, "{}", head.head);
    assert!(body.starts_with(b"<!doctype html>"));
}

#[test]
fn mounted_page_links_the_given_metrics_path() {
    use hyper::service::Service;

    let handler = Server::builder().registry(&Registry::new()).into_handler().unwrap();
    let page = handler.page(Page::new("Mounted"), "/internal/metrics").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ask = |method: &str| {
        let request = http::Request::builder().method(method).uri("/any/path").body(()).unwrap();
        runtime.block_on(page.call(request)).unwrap()
    };
    let response = ask("GET");
    assert_eq!(response.status(), 200);
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    for directive in POLICY {
        assert!(policy.split("; ").any(|part| part.starts_with(directive)), "{directive}: {policy}");
    }
    let body = runtime.block_on(crate::handler::read(response.into_body()));
    assert!(
        body.contains("<a id=\"metrics\" href=\"/internal/metrics\">") && body.contains("<h1>Mounted</h1>"),
        "{body}"
    );
    for of_a_server in ["/-/healthy", "/-/ready", "<form"] {
        assert!(!body.contains(of_a_server), "{of_a_server}: {body}");
    }
    for (method, status) in [("HEAD", 200), ("OPTIONS", 204), ("POST", 405)] {
        assert_eq!(ask(method).status(), status, "{method}");
    }
    for path in ["metrics", "", "//host/metrics", "/\\host", "/metrics?x"] {
        let error = handler.page(Page::new("x"), path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
        assert!(error.to_string().starts_with("page: metrics_path: "), "{error}");
    }
    let error = handler.page(Page::new("x").link("Bad", "javascript:alert(1)"), "/metrics").unwrap_err();
    assert!(error.to_string().starts_with("page: link \"Bad\": address \"javascript:"), "{error}");
}

#[cfg(feature = "auth")]
#[test]
fn mounted_page_has_the_access_control_of_the_metrics() {
    use hyper::service::Service;

    let builder = Server::builder().registry(&Registry::new()).bearer_token("a-token-of-some-length");
    let page = builder.into_handler().unwrap().page(Page::new("Mounted"), "/metrics").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (token, status) in [("wrong", 401), ("a-token-of-some-length", 200)] {
        let request =
            http::Request::builder().header("Authorization", format!("Bearer {token}")).body(()).unwrap();
        assert_eq!(runtime.block_on(page.call(request)).unwrap().status(), status, "{token}");
    }
}
