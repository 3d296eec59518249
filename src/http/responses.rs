//! Response construction: common headers, and short responses in full.

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName,
    HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Response, StatusCode};

use crate::auth::rate_limit::whole_seconds;
use crate::exposition::compress::Coding;
use crate::http::body::Body;

pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Adds the headers of every response, and the configured ones.
pub(super) fn complete<'h>(
    mut response: Response<Body>,
    method: &Method,
    configured: impl IntoIterator<Item = &'h (HeaderName, HeaderValue)>,
) -> Response<Body> {
    // A 204 must not have a `Content-Length` (RFC 9110, section 8.6).
    if response.status() != StatusCode::NO_CONTENT {
        let length = response.body().remaining;
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    // The response to HEAD has the `Content-Length` of the GET and no body (section 9.3.2). As a server, hyper
    // omits the body, but not every server that mounts the handler does.
    if method == Method::HEAD {
        *response.body_mut() = Body::default();
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in configured {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

pub(super) fn respond(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

pub(super) fn text(status: StatusCode, sentence: &'static str) -> Response<Body> {
    respond(status, TEXT, sentence)
}

/// Returns a 200 whose chunks already have this coding.
pub(super) fn coded(content_type: HeaderValue, chunks: Vec<Bytes>, coding: Coding) -> Response<Body> {
    let mut response = respond(StatusCode::OK, content_type, Body::new(chunks));
    if let Some(coding) = coding.content_encoding() {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

/// Returns the response to OPTIONS.
pub(super) fn options() -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, METHODS);
    response
}

pub(super) fn bad_request(reason: impl Display) -> Response<Body> {
    respond(StatusCode::BAD_REQUEST, TEXT, Bytes::from(format!("{reason}\n")))
}

pub(super) fn invalid_host() -> Response<Body> {
    let mut response = text(StatusCode::BAD_REQUEST, "400: send exactly one valid Host header.\n");
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Returns the response to a request with wrong or no credentials.
#[cfg_attr(not(feature = "auth"), expect(dead_code, reason = "only authentication returns it"))]
pub(super) fn unauthorized(challenges: Vec<HeaderValue>, has_credentials: bool) -> Response<Body> {
    let is_basic = |challenge: &HeaderValue| challenge.as_bytes().starts_with(b"Basic");
    let name =
        |challenge| if is_basic(challenge) { "a user and a password (basic auth)" } else { "a bearer token" };
    let accepted = challenges.iter().map(name).collect::<Vec<_>>().join(" or ");
    let sentence =
        format!("401: {} credentials. Send {accepted}.\n", if has_credentials { "wrong" } else { "no" });
    let mut response = respond(StatusCode::UNAUTHORIZED, TEXT, Bytes::from(sentence));
    for challenge in challenges {
        response.headers_mut().append(WWW_AUTHENTICATE, challenge);
    }
    response
}

pub(super) fn host_not_allowed() -> Response<Body> {
    text(StatusCode::FORBIDDEN, "403: host not allowed. Use a name that allowed_hosts lists.\n")
}

pub(super) fn not_found(metrics_path: &str) -> Response<Body> {
    let sentence = format!("404: nothing here. The metrics are at {metrics_path}.\n");
    respond(StatusCode::NOT_FOUND, TEXT, Bytes::from(sentence))
}

pub(super) fn method_not_allowed() -> Response<Body> {
    let sentence = "405: method not allowed. Use GET, HEAD or OPTIONS.\n";
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, sentence);
    response.headers_mut().insert(ALLOW, METHODS);
    response
}

pub(super) fn too_many(what: &str, retry_after: Duration) -> Response<Body> {
    let seconds = whole_seconds(retry_after);
    let sentence = format!("429: too many {what}. Try again in {seconds} s.\n");
    let mut response = respond(StatusCode::TOO_MANY_REQUESTS, TEXT, Bytes::from(sentence));
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

/// Returns a 503 for a request that may succeed a second later.
pub(super) fn unavailable(sentence: impl Into<Body>) -> Response<Body> {
    let mut response = respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, sentence);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

pub(super) fn internal_error(sentence: &'static str) -> Response<Body> {
    text(StatusCode::INTERNAL_SERVER_ERROR, sentence)
}
