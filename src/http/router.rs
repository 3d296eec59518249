//! A request's head in, a response out. No socket, no runtime.

use std::future::Future;
use std::net::IpAddr;
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
use crate::scrape::probe::Parameters;
use crate::scrape::probe::{Prober, Unanswered};
use crate::scrape::{Delivery, Exposition, Host, Representation, ScrapeError, Scraper};
use crate::telemetry::{Cause, RejectReason, Telemetry};

const PAGE_PATH: &str = "/";

/// What the page's script says of itself with its scrapes.
const FROM_PAGE: HeaderName = HeaderName::from_static("x-prometheus-hyper-page");

/// All that answers requests; shared by every connection of a server.
pub(crate) struct Router {
    pub(crate) metrics_path: String,
    /// At `/`; none is a 404.
    pub(crate) page: Option<Document>,
    /// What a client may choose from, besides text 0.0.4 uncompressed.
    pub(crate) formats: Vec<&'static Format>,
    pub(crate) codings: Vec<Coding>,
    pub(crate) scrape_timeouts: ScrapeTimeouts,
    /// A permit for each scrape that is being answered, if their number is limited.
    pub(crate) scrape_limit: Option<Semaphore>,
    pub(crate) host: Arc<Host>,
    pub(crate) scraper: Scraper,
    pub(crate) prober: Prober,
    pub(crate) access: AccessControl,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// What a path names.
#[derive(Clone, Copy, Debug)]
enum Endpoint<'r> {
    Metrics,
    /// At its place among the probes.
    Probe(usize),
    Page(&'r Document),
    Healthy,
    Ready,
}

impl Router {
    /// The paths of the metrics and of the page, if there is one.
    pub(crate) fn paths(&self) -> (&str, Option<&'static str>) {
        let has_page = matches!(self.endpoint(PAGE_PATH), Some(Endpoint::Page(_)));
        (&self.metrics_path, has_page.then_some(PAGE_PATH))
    }

    /// How long a scraper waits that does not say so.
    pub(crate) fn scrape_timeout(&self) -> Duration {
        self.scrape_timeouts.default.min(self.scrape_timeouts.max)
    }

    /// Answers one request from this peer, which has no address on a Unix socket. Always an answer, never an error.
    pub(crate) async fn respond(&self, head: &Parts, peer: Option<IpAddr>) -> Response<Body> {
        let policy = self.access.policy();
        self.complete(&policy, head, self.route(head, peer, &policy, self.deadline(head))).await
    }

    /// Answers one request with the metrics or with this page, whatever its path, which the surrounding server has routed. Of
    /// its Host only the allowed names count, if there are any.
    pub(crate) async fn respond_mounted(&self, head: &Parts, page: Option<&Document>) -> Response<Body> {
        let endpoint = page.map_or(Endpoint::Metrics, Endpoint::Page);
        let policy = self.access.policy();
        // Whose address that server knows, and not we.
        let served = async {
            let deadline = self.deadline(head);
            match self.access.admit(&policy, None, head, false, deadline).await {
                Ok(()) => self.serve(endpoint, head, deadline).await,
                Err(rejection) => rejection.into(),
            }
        };
        let mut response = self.complete(&policy, head, served).await;
        // Nobody waits for it there, and nobody there evicts slow clients.
        response.body_mut().take_delivery();
        response
    }

    /// The answer where there is no runtime to serve on.
    pub(crate) fn refuse(head: &Parts) -> Response<Body> {
        let response = internal_error("500: there is no thread to serve on. See the program's log.\n");
        responses::complete(response, &head.method, &[])
    }

    /// Whether what answers this is for its client alone, so that it ends when that one goes.
    pub(crate) fn ends_with_its_client(&self, head: &Parts) -> bool {
        matches!(head.method, Method::GET | Method::HEAD) && self.prober.find(head.uri.path()).is_some()
    }

    /// By when a request is to be answered: one time for its credentials and its scrape.
    fn deadline(&self, head: &Parts) -> Instant {
        deadline(self.scrape_timeouts.of(head))
    }

    async fn complete(
        &self,
        policy: &Policy,
        head: &Parts,
        response: impl Future<Output = Response<Body>>,
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
        // CONNECT names an authority, not a path (RFC 9110, section 9.3.6); there is none that it is allowed for.
        if head.method == Method::CONNECT {
            return responses::method_not_allowed();
        }
        let endpoint = self.endpoint(head.uri.path());
        let is_health = matches!(endpoint, Some(Endpoint::Healthy | Endpoint::Ready));
        // Before the 404, which would tell a client without credentials which paths there are.
        if let Err(rejection) = self.access.admit(policy, peer, head, is_health, deadline).await {
            return rejection.into();
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
                Endpoint::Probe(place) => self.probe(place, head, deadline).await,
                Endpoint::Page(page) => self.page(page, head),
                Endpoint::Healthy => text(StatusCode::OK, "Healthy.\n"),
                Endpoint::Ready if self.telemetry.is_ready() => text(StatusCode::OK, "Ready.\n"),
                Endpoint::Ready => text(StatusCode::SERVICE_UNAVAILABLE, "Not ready.\n"),
            },
            Method::OPTIONS => responses::options(),
            _ => responses::method_not_allowed(),
        }
    }

    /// Exact match only: what is not written like the path is another path.
    fn endpoint(&self, path: &str) -> Option<Endpoint<'_>> {
        // First, because the metrics may be at `/`.
        if path == self.metrics_path {
            return Some(Endpoint::Metrics);
        }
        if let Some(place) = self.prober.find(path) {
            return Some(Endpoint::Probe(place));
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
        let (pieces, coding) = page.body(coding);
        let mut response = coded(HTML, pieces, coding);
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
                unavailable("503: max_requests scrapes are in flight. Try again in a second.\n")
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
                let Exposition { pieces, coding, unsent, receipt } = exposition;
                // The page keeps no values: it must not take a job's last ones from Prometheus. HEAD drops the receipt with the body.
                let receipt = (!head.headers.contains_key(FROM_PAGE)).then_some(receipt);
                let delivery = Delivery { unsent, receipt };
                let response = coded(content_type, pieces, coding).map(|body| body.with_delivery(delivery));
                self.telemetry.set_response_size(response.body().len());
                response
            }
            Err(ScrapeError::Collector) => {
                internal_error("500: a collector panicked. See the program's log.\n")
            }
            Err(ScrapeError::Gatherer) => internal_error("500: the scrape failed. See the program's log.\n"),
            Err(ScrapeError::Unsent) => self.unsent(),
            Err(ScrapeError::Timeout) => {
                self.telemetry.count_error(Cause::Timeout);
                let sentence = format!("503: no metrics within {timeout:?}. A collector is slow or hangs.\n");
                unavailable(Bytes::from(sentence))
            }
        }
    }

    /// The answer where the budget of unsent bytes is exceeded.
    fn unsent(&self) -> Response<Body> {
        self.telemetry.count_rejection(RejectReason::Unsent);
        unavailable("503: too many bytes wait for slow clients. Scrape without name[] and registry[].\n")
    }

    /// What a target says that the scraper names.
    async fn probe(&self, place: usize, head: &Parts, deadline: Instant) -> Response<Body> {
        let text_of_query = head.uri.query().unwrap_or_default();
        let parsed =
            Query::parse(text_of_query).and_then(|query| Ok((query, query::parameters(text_of_query)?)));
        let mut response = match parsed {
            Ok((query, parameters)) => self.probe_for(place, parameters, query, head, deadline).await,
            Err(error) => {
                self.prober.count_bad_request(place);
                bad_request(error)
            }
        };
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        response
    }

    async fn probe_for(
        &self,
        place: usize,
        parameters: Parameters,
        query: Query,
        head: &Parts,
        deadline: Instant,
    ) -> Response<Body> {
        let request = self.prober.request(parameters, deadline);
        let log = request.kept_log();
        // A probe may have a parameter of that name with other values.
        let (representation, content_type) = if log.is_kept() {
            (Representation { format: FALLBACK, coding: Coding::Identity, names: query.names }, TEXT)
        } else {
            self.representation(head, query.format.unwrap_or_default(), query.names)
        };
        let Some(runtime) = self.host.runtime_of_hooks() else {
            return internal_error("500: there is no runtime to probe on.\n");
        };
        match self.prober.probe(place, request, representation, runtime).await {
            Ok(_) if self.scraper.unsent().is_exceeded() => self.unsent(),
            Ok((mut pieces, coding)) => {
                pieces.splice(..0, log.before_metrics().map(Bytes::from));
                let unsent = self.scraper.unsent().count(pieces.iter().map(Bytes::len).sum());
                coded(content_type, pieces, coding)
                    .map(|body| body.with_delivery(Delivery { unsent, receipt: None }))
            }
            Err(Unanswered::BadRequest(reason)) => bad_request(reason),
            Err(Unanswered::Busy) => unavailable("503: max_probes probes are running. Try again.\n"),
            Err(Unanswered::Unwritten) => internal_error("500: the probe failed. See the program's log.\n"),
        }
    }

    /// Returns the representation that a client wants, and its media type.
    fn representation(
        &self,
        head: &Parts,
        named: Option<&'static Format>,
        names: Names,
    ) -> (Representation, HeaderValue) {
        let (format, content_type) = match named.filter(|format| self.formats.contains(format)) {
            // For people: a browser shows it and does not offer to save it.
            Some(format) => (EscapedFormat::plain(format), TEXT),
            None => {
                let accepted = negotiate::accept(values(head, &ACCEPT), &self.formats);
                (accepted.format, HeaderValue::from_static(accepted.content_type))
            }
        };
        let coding = negotiate::accept_encoding(values(head, &ACCEPT_ENCODING), &self.codings);
        (Representation { format, coding, names }, content_type)
    }
}

/// The answer to a query that names something that there is not.
fn unknown<'n>(what: &str, known: impl Iterator<Item = &'n str>) -> Response<Body> {
    bad_request(format_args!("400: unknown {what}. Use one of: {}.", known.collect::<Vec<_>>().join(", ")))
}

/// The values of a header, line by line.
fn values<'h>(head: &'h Parts, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> + use<'h> {
    head.headers.get_all(name).iter().map(HeaderValue::as_bytes)
}
