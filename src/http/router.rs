//! The router: a request's head in, a response out. No socket, no runtime.

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, VARY,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use tokio::sync::Semaphore;

use crate::exposition::compress::Coding;
use crate::exposition::encode::{EscapedFormat, FALLBACK, Format};
use crate::exposition::filter::Names;
use crate::http::access::{AccessControl, Policy};
use crate::http::body::Body;
use crate::http::document::Document;
use crate::http::host::host_is_valid;
use crate::http::negotiate;
use crate::http::path::{HEALTHY_PATH, READY_PATH};
use crate::http::query::{self, Query};
use crate::http::responses::{self, HTML, TEXT, bad_request, coded, internal_error, text, unavailable};
use crate::http::scrape_timeout::{ScrapeTimeouts, deadline};
use crate::scrape::probe::{NoExposition, Parameters, Prober};
use crate::scrape::{Delivery, Exposition, Representation, ScrapeError, Scraper};
use crate::telemetry::{Cause, RejectReason, Telemetry};

const PAGE_PATH: &str = "/";

/// Header that the page's script sends with its scrapes.
const FROM_PAGE: HeaderName = HeaderName::from_static("x-prometheus-hyper-page");

/// Routes and serves requests. All connections of a server share it.
pub(crate) struct Router {
    pub(crate) metrics_path: String,
    /// The page at `/`. `None`: `/` is a 404.
    pub(crate) page: Option<Document>,
    /// Formats that a client may choose besides text 0.0.4, which is always available.
    pub(crate) formats: Vec<&'static Format>,
    pub(crate) codings: Vec<Coding>,
    pub(crate) scrape_timeouts: ScrapeTimeouts,
    /// Limits the scrapes in flight, if `max_requests` is set.
    pub(crate) scrape_limit: Option<Semaphore>,
    pub(crate) scraper: Scraper,
    pub(crate) prober: Prober,
    pub(crate) access: AccessControl,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// The resource at a path.
#[derive(Clone, Copy, Debug)]
enum Endpoint<'r> {
    Metrics,
    /// The probe with this index.
    Probe(usize),
    Page(&'r Document),
    Healthy,
    Ready,
}

impl Router {
    /// Returns the paths of the metrics and of the page, if there is one.
    pub(crate) fn paths(&self) -> (&str, Option<&'static str>) {
        let has_page = matches!(self.endpoint(PAGE_PATH), Some(Endpoint::Page(_)));
        (&self.metrics_path, has_page.then_some(PAGE_PATH))
    }

    /// Returns the timeout of scrapes without a timeout header.
    pub(crate) fn scrape_timeout(&self) -> Duration {
        self.scrape_timeouts.default.min(self.scrape_timeouts.max)
    }

    /// Responds to one request from this peer. A peer on a Unix socket has no address.
    pub(crate) async fn respond(&self, head: &Parts, peer: Option<IpAddr>) -> Response<Body> {
        let policy = self.access.policy();
        let routed = pin!(self.route(head, peer, &policy, self.deadline(head)));
        self.complete(&policy, head, routed).await
    }

    /// Responds to one request with the metrics or with this page, whatever its path, because the surrounding server
    /// has routed it. Checks the Host only against the allowed hosts, if any.
    pub(crate) async fn respond_mounted(&self, head: &Parts, page: Option<&Document>) -> Response<Body> {
        let endpoint = page.map_or(Endpoint::Metrics, Endpoint::Page);
        let policy = self.access.policy();
        // The surrounding server knows the peer's address, and the handler does not.
        let served = pin!(async {
            let deadline = self.deadline(head);
            match self.access.admit(&policy, None, head, false, deadline).await {
                Ok(()) => self.serve(endpoint, head, deadline).await,
                Err(rejection) => rejection,
            }
        });
        let mut response = self.complete(&policy, head, served).await;
        // No code waits for the delivery there, and the surrounding server evicts no slow clients.
        response.body_mut().delivery = None;
        response
    }

    /// Returns the response of a handler whose engine cannot start or has ended.
    pub(crate) fn without_engine(head: &Parts) -> Response<Body> {
        let response = internal_error("500: no server thread is running. See the program's log.\n");
        responses::complete(response, &head.method, &[])
    }

    /// Returns whether the response is made for its client only. It is then cancelled when that client closes.
    pub(crate) fn ends_with_its_client(&self, head: &Parts) -> bool {
        matches!(head.method, Method::GET | Method::HEAD) && self.prober.find(head.uri.path()).is_some()
    }

    /// Returns the common deadline for credentials and scrape.
    fn deadline(&self, head: &Parts) -> Instant {
        deadline(self.scrape_timeouts.of(head))
    }

    /// Awaits the response by reference, because a future contains each argument twice if it awaits it.
    async fn complete(
        &self,
        policy: &Policy,
        head: &Parts,
        response: Pin<&mut impl Future<Output = Response<Body>>>,
    ) -> Response<Body> {
        let _in_flight = self.telemetry.request_in_flight();
        let started = Instant::now();
        let response = response.await;
        self.telemetry.observe_request(started.elapsed());
        responses::complete(response, &head.method, &policy.headers)
    }

    async fn route(
        &self,
        head: &Parts,
        peer: Option<IpAddr>,
        policy: &Policy,
        deadline: Instant,
    ) -> Response<Body> {
        if !host_is_valid(head) {
            return responses::invalid_host();
        }
        // CONNECT names an authority and no path (RFC 9110, section 9.3.6), so it is never allowed.
        if head.method == Method::CONNECT {
            return responses::method_not_allowed();
        }
        let endpoint = self.endpoint(head.uri.path());
        let is_health = matches!(endpoint, Some(Endpoint::Healthy | Endpoint::Ready));
        // Before the 404, so that clients without access cannot find out which paths exist.
        if let Err(rejection) = self.access.admit(policy, peer, head, is_health, deadline).await {
            return rejection;
        }
        let Some(endpoint) = endpoint else {
            return responses::not_found(&self.metrics_path);
        };
        self.serve(endpoint, head, deadline).await
    }

    async fn serve(&self, endpoint: Endpoint<'_>, head: &Parts, deadline: Instant) -> Response<Body> {
        match head.method {
            Method::GET | Method::HEAD => match endpoint {
                Endpoint::Metrics => self.metrics(head, deadline).await,
                // Boxed, because the future of each connection is as large as its largest branch.
                Endpoint::Probe(index) => Box::pin(self.probe(index, head, deadline)).await,
                Endpoint::Page(page) => self.page(page, head),
                Endpoint::Healthy => text(StatusCode::OK, "Healthy.\n"),
                Endpoint::Ready if self.telemetry.is_ready() => text(StatusCode::OK, "Ready.\n"),
                Endpoint::Ready => text(StatusCode::SERVICE_UNAVAILABLE, "Not ready.\n"),
            },
            Method::OPTIONS => responses::options(),
            _ => responses::method_not_allowed(),
        }
    }

    /// Returns the resource at a path. Only exact matches count.
    fn endpoint(&self, path: &str) -> Option<Endpoint<'_>> {
        // First, because the metrics may be at `/`.
        if path == self.metrics_path {
            return Some(Endpoint::Metrics);
        }
        if let Some(index) = self.prober.find(path) {
            return Some(Endpoint::Probe(index));
        }
        match path {
            PAGE_PATH => self.page.as_ref().map(Endpoint::Page),
            HEALTHY_PATH => Some(Endpoint::Healthy),
            READY_PATH => Some(Endpoint::Ready),
            _ => None,
        }
    }

    fn page(&self, page: &Document, head: &Parts) -> Response<Body> {
        let coding = negotiate::accept_encoding(values(head, &ACCEPT_ENCODING), &self.codings);
        let (chunks, coding) = page.body(coding);
        let mut response = coded(HTML, chunks, coding);
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(page.policy));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        response
    }

    async fn metrics(&self, head: &Parts, deadline: Instant) -> Response<Body> {
        self.telemetry.count_scrape();
        let mut response = match self.scrape_limit.as_ref().map(Semaphore::try_acquire).transpose() {
            Ok(_permit) => self.scrape(head, deadline).await,
            Err(_) => {
                self.telemetry.count_rejection(RejectReason::MaxRequests);
                unavailable("503: the limit max_requests is reached. Try again in a second.\n")
            }
        };
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        response
    }

    async fn scrape(&self, head: &Parts, deadline: Instant) -> Response<Body> {
        let query = match Query::parse(head.uri.query().unwrap_or_default()) {
            Ok(query) => query,
            Err(error) => return bad_request(error),
        };
        let Some(selection) = self.scraper.select(&query.registries) else {
            return unknown("registry", self.scraper.registries());
        };
        let Ok(format) = query.format else {
            return unknown("format", self.formats.iter().filter_map(|format| format.query_name));
        };
        let (representation, content_type) = self.representation(head, format, query.names);
        let timeout = self.scrape_timeouts.of(head);
        match self.scraper.scrape(representation, selection, timeout, deadline).await {
            Ok(exposition) => {
                let Exposition { chunks, coding, unsent, receipt } = exposition;
                // A scrape by the page must not drop a job's last values before Prometheus has read them. HEAD drops
                // the receipt with the body.
                let receipt = (!head.headers.contains_key(FROM_PAGE)).then_some(receipt);
                let mut response = coded(content_type, chunks, coding);
                response.body_mut().delivery = Some(Delivery { unsent, receipt });
                self.telemetry.set_response_size(response.body().remaining);
                response
            }
            Err(ScrapeError::Collector) => {
                internal_error("500: a collector or a hook failed. See the program's log.\n")
            }
            Err(ScrapeError::Gatherer) => internal_error("500: the scrape failed. See the program's log.\n"),
            Err(ScrapeError::Parts) => {
                self.telemetry.count_rejection(RejectReason::Parts);
                unavailable(
                    "503: a scrape of all metrics waits. Scrape without name[] and registry[], or try again.\n",
                )
            }
            Err(ScrapeError::Unsent) => self.unsent(),
            Err(ScrapeError::Timeout) => {
                self.telemetry.count_error(Cause::Timeout);
                let sentence = format!(
                    "503: no metrics within {timeout:?}. A collector is slow or hangs. If it hangs for scrape_timeout, the log names its registry.\n"
                );
                unavailable(Bytes::from(sentence))
            }
        }
    }

    /// Returns the response if the budget of unsent bytes is exceeded.
    fn unsent(&self) -> Response<Body> {
        self.telemetry.count_rejection(RejectReason::Unsent);
        unavailable("503: too many bytes wait for slow clients. Scrape without name[] and registry[].\n")
    }

    /// Probes a target that the scraper names.
    async fn probe(&self, index: usize, head: &Parts, deadline: Instant) -> Response<Body> {
        let text_of_query = head.uri.query().unwrap_or_default();
        let parsed =
            Query::parse(text_of_query).and_then(|query| Ok((query, query::parameters(text_of_query)?)));
        let mut response = match parsed {
            Ok((query, parameters)) => self.probe_for(index, parameters, query, head, deadline).await,
            Err(error) => {
                self.prober.count_bad_request(index);
                bad_request(error)
            }
        };
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        response
    }

    async fn probe_for(
        &self,
        index: usize,
        parameters: Parameters,
        query: Query,
        head: &Parts,
        deadline: Instant,
    ) -> Response<Body> {
        let request = self.prober.request(parameters, deadline);
        let log = request.kept_log();
        // A probe may have a parameter `format` with other values.
        let (representation, content_type) = if log.is_kept() {
            (Representation { format: FALLBACK, coding: Coding::Identity, names: query.names }, TEXT)
        } else {
            self.representation(head, query.format.unwrap_or_default(), query.names)
        };
        let Some(runtime) = self.scraper.host().runtime_of_hooks() else {
            return internal_error("500: the server has no runtime for probes. Restart the program.\n");
        };
        match self.prober.probe(index, request, representation, &runtime).await {
            Ok(_) if self.scraper.unsent().is_exceeded() => self.unsent(),
            Ok((mut chunks, coding)) => {
                chunks.splice(..0, log.before_metrics().map(Bytes::from));
                let unsent = self.scraper.unsent().count(chunks.iter().map(Bytes::len).sum());
                let mut response = coded(content_type, chunks, coding);
                response.body_mut().delivery = Some(Delivery { unsent, receipt: None });
                response
            }
            Err(NoExposition::BadRequest(reason)) => bad_request(reason),
            Err(NoExposition::Busy) => unavailable("503: the limit max_probes is reached. Try again.\n"),
            Err(NoExposition::Unwritten) => internal_error("500: the probe failed. See the program's log.\n"),
        }
    }

    /// Returns the representation that the client requests, and its media type.
    fn representation(
        &self,
        head: &Parts,
        named: Option<&'static Format>,
        names: Names,
    ) -> (Representation, HeaderValue) {
        let named = named.filter(|format| self.formats.contains(format));
        let offered = named.as_ref().map_or(&self.formats[..], std::slice::from_ref);
        let accepted = negotiate::accept(values(head, &ACCEPT), offered);
        let (format, content_type) = match named.filter(|format| *format != accepted.format.format()) {
            // As plain text, so that a browser shows it and does not download it.
            Some(format) => (EscapedFormat::plain(format), TEXT),
            None => (accepted.format, HeaderValue::from_static(accepted.content_type)),
        };
        let coding = negotiate::accept_encoding(values(head, &ACCEPT_ENCODING), &self.codings);
        (Representation { format, coding, names }, content_type)
    }
}

/// Returns the response to a query with an unknown value.
fn unknown<'n>(what: &str, known: impl Iterator<Item = &'n str>) -> Response<Body> {
    bad_request(format_args!("400: unknown {what}. Use one of: {}.", known.collect::<Vec<_>>().join(", ")))
}

/// Returns the values of a header, line by line.
fn values<'h>(head: &'h Parts, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> + use<'h> {
    head.headers.get_all(name).iter().map(HeaderValue::as_bytes)
}
