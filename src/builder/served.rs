//! What is served, and in which forms.

use std::collections::HashSet;
use std::env;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{DEFAULT_MAX_SCRAPE_TIMEOUT, DEFAULT_SCRAPE_TIMEOUT, DEFAULT_SCRAPE_TIMEOUT_MARGIN};
use crate::collector::{BuildInfo, DefaultCollectors, registry_of};
use crate::exposition::compress;
use crate::exposition::encode::Format;
use crate::http::access::Locks;
use crate::http::page::{Document, Page, Places, Program};
use crate::http::router::{self, Endpoints, Offer, Router, ScrapeTimeouts};
use crate::scrape::probe::{DEFAULT_MAX_PROBES, ProbePath, Prober};
use crate::scrape::{Contents, Hook, Source};
use crate::telemetry::{Denial, Telemetry};

#[derive(Debug)]
pub(super) struct Served {
    /// A name where one was given.
    pub(super) registries: Vec<(Option<String>, Registry)>,
    pub(super) hooks: Vec<Hook>,
    pub(super) probes: Vec<ProbePath>,
    pub(super) max_probes: usize,
    /// If there is no word: with the default registry.
    pub(super) default_collectors: Option<bool>,
    pub(super) build_info: Option<BuildInfo>,
    /// What stands at `/`, if anything.
    pub(super) landing_page: Option<Page>,
    pub(super) self_metrics: bool,
    pub(super) openmetrics: bool,
    pub(super) protobuf: bool,
    pub(super) compression: bool,
    pub(super) scrape_timeout: Duration,
    pub(super) max_scrape_timeout: Duration,
    pub(super) scrape_timeout_margin: Duration,
    /// If there is no word, and at zero: no limit.
    pub(super) max_requests: Option<usize>,
    /// If there is no word, it follows the expositions.
    pub(super) max_unsent: Option<usize>,
}

impl Default for Served {
    fn default() -> Self {
        Served {
            registries: Vec::new(),
            hooks: Vec::new(),
            probes: Vec::new(),
            max_probes: DEFAULT_MAX_PROBES,
            default_collectors: None,
            build_info: None,
            landing_page: Some(Page::unnamed()),
            self_metrics: true,
            openmetrics: false,
            protobuf: false,
            compression: true,
            scrape_timeout: DEFAULT_SCRAPE_TIMEOUT,
            max_scrape_timeout: DEFAULT_MAX_SCRAPE_TIMEOUT,
            scrape_timeout_margin: DEFAULT_SCRAPE_TIMEOUT_MARGIN,
            max_requests: None,
            max_unsent: None,
        }
    }
}

impl Served {
    /// What makes no sense, beginning with the option's name.
    pub(super) fn fault(&self) -> Option<String> {
        let timeouts =
            [("scrape_timeout", self.scrape_timeout), ("max_scrape_timeout", self.max_scrape_timeout)];
        if let Some((option, _)) = timeouts.iter().find(|(_, timeout)| timeout.is_zero()) {
            return Some(format!("{option}: must be above zero"));
        }
        let names: Vec<String> = (0..)
            .zip(&self.registries)
            .map(|(place, (given, _))| source_name(place, given.as_deref()))
            .collect();
        if let Some(name) = twice(names.iter().map(String::as_str)) {
            return Some(format!("registry_named: {name:?} is the name of two registries"));
        }
        if let Some(name) = twice(self.hooks.iter().map(Hook::name)) {
            return Some(format!("before_scrape: {name:?} is the name of two hooks"));
        }
        if self.max_probes == 0 {
            return Some("max_probes: must be at least 1".to_owned());
        }
        let fault = self.landing_page.as_ref().and_then(Page::fault)?;
        Some(format!("landing_page: {fault}"))
    }

    /// The same of the probes' paths, beside that of the metrics, which comes from this option or flag.
    pub(super) fn fault_of_probes(&self, metrics_path: &str, metrics_path_option: &str) -> Option<String> {
        let paths = || self.probes.iter().map(ProbePath::path);
        if let Some(path) = paths().find(|path| !router::path_is_valid(path)) {
            return Some(format!(
                "probe: {path:?} is no absolute path, as it stands in a request, that is free"
            ));
        }
        let path = twice(paths().chain([metrics_path]))?;
        // Who typed a flag knows nothing of the builder's options.
        if path == metrics_path && metrics_path_option.starts_with("--") {
            return Some(format!("{metrics_path_option}: {path:?} is the path of a probe"));
        }
        Some(format!("probe: {path:?} is taken"))
    }

    /// What was asked for, and a handler can not do.
    pub(super) fn not_for_handlers(&self) -> Option<&'static str> {
        (!self.probes.is_empty()).then_some("probe: a handler serves the metrics, whatever the path")
    }

    /// Makes do with what has a fault.
    pub(super) fn repair(&mut self) {
        for (timeout, default) in [
            (&mut self.scrape_timeout, DEFAULT_SCRAPE_TIMEOUT),
            (&mut self.max_scrape_timeout, DEFAULT_MAX_SCRAPE_TIMEOUT),
        ] {
            if timeout.is_zero() {
                *timeout = default;
            }
        }
        self.max_probes = self.max_probes.max(1);
    }

    pub(super) fn router(self, metrics_path: String, locks: Locks, telemetry: Arc<Telemetry>) -> Router {
        let Served {
            registries,
            hooks,
            probes,
            max_probes,
            default_collectors,
            build_info,
            landing_page,
            self_metrics,
            openmetrics,
            protobuf,
            compression,
            scrape_timeout,
            max_scrape_timeout,
            scrape_timeout_margin,
            max_requests,
            max_unsent,
        } = self;
        let by_default = registries.is_empty();
        let contents = Contents {
            sources: sources(registries),
            by_default,
            hooks,
            default_collectors: default_collectors.unwrap_or(by_default).then(DefaultCollectors::default),
            build_info: build_info.clone().map(registry_of),
            self_metrics,
            max_unsent,
        };
        let mut formats = vec![Format::Text004, Format::Text100];
        if openmetrics {
            formats.extend([Format::OpenMetrics100, Format::OpenMetrics001]);
        }
        if protobuf {
            formats.push(Format::Protobuf);
        }
        let codings = if compression { compress::codings() } else { Vec::new() };
        let scrape_timeouts = ScrapeTimeouts {
            default: scrape_timeout,
            max: max_scrape_timeout,
            margin: scrape_timeout_margin,
        };
        let offer = Offer { formats, codings };
        let page = landing_page.map(|page| {
            // Asked for where nothing else has the name.
            let executable = if build_info.is_none() { executable() } else { None };
            let program = Program {
                name: build_info.as_ref().map(BuildInfo::program).or(executable.as_deref()),
                version: build_info.as_ref().map(BuildInfo::version),
            };
            let probes: Vec<&str> = probes.iter().map(ProbePath::path).collect();
            let places = Places { metrics: &metrics_path, formats: &offer.formats, probes: &probes };
            Document::new(&page, program, &places)
        });
        let prober = Prober::new(probes, max_probes, Arc::clone(&telemetry));
        let scrape_limit = max_requests.filter(|most| *most > 0);
        let scrape_limit = scrape_limit.map(|most| Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        if scrape_limit.is_some() {
            telemetry.show_denials(&[Denial::MaxRequests]);
        }
        let endpoints = Endpoints { metrics_path, contents, scrape_limit, prober, page };
        let router = Router::new(endpoints, offer, scrape_timeouts, locks, telemetry);
        if let Ok(runtime) = Handle::try_current() {
            router.scraper().watch(&runtime);
            router.scraper().run_hooks_on(runtime);
        }
        router
    }
}

/// What the program's file is called, as people call it.
fn executable() -> Option<String> {
    let file = env::current_exe().ok()?;
    Some(file.file_stem()?.to_string_lossy().into_owned())
}

/// The registries under their names; the default one, if there is none.
fn sources(registries: Vec<(Option<String>, Registry)>) -> Vec<Source> {
    if registries.is_empty() {
        return sources(vec![(None, prometheus::default_registry().clone())]);
    }
    let registries = (0..).zip(registries);
    registries
        .map(|(place, (given, registry))| Source { name: source_name(place, given.as_deref()), registry })
        .collect()
}

fn source_name(place: usize, given: Option<&str>) -> String {
    match (given, place) {
        (Some(given), _) => given.to_owned(),
        (None, 0) => "default".to_owned(),
        (None, place) => place.to_string(),
    }
}

/// A name that occurs more than once.
fn twice<'n>(names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}
