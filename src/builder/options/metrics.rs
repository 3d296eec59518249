//! What is served, and in which representations.

use std::env;
use std::sync::Arc;

use prometheus::Registry;
use tokio::sync::Semaphore;

use crate::collector::{BuildInfo, DefaultCollectors, registry_of};
use crate::exposition::compress;
use crate::exposition::encode::{Format, TEXT_004, TEXT_100};
use crate::http::access::AccessControl;
use crate::http::document::{Endpoints, Program, Render};
#[cfg(feature = "page")]
use crate::http::page::{Landing, Page};
use crate::http::router::Router;
use crate::http::scrape_timeout::ScrapeTimeouts;
use crate::scrape::probe::{ProbePath, Prober};
use crate::scrape::{Contents, HostRuntimes, Scraper, Source, SourceOrigin, Work};
use crate::telemetry::{RejectReason, Telemetry};

/// The name of the first registry that is given none.
const DEFAULT: &str = "default";

#[derive(Debug)]
pub(crate) struct MetricsOptions {
    pub(crate) contents: Contents,
    pub(crate) metrics_path: String,
    /// The option or flag that it comes from.
    pub(crate) metrics_path_option: &'static str,
    pub(crate) probes: Vec<ProbePath>,
    pub(crate) max_probes: Option<usize>,
    pub(crate) probe_debug: bool,
    /// By default they are served with the default registry.
    pub(crate) default_collectors: Option<bool>,
    pub(crate) build_info: Option<BuildInfo>,
    pub(crate) landing_page: Option<Box<dyn Render>>,
    pub(crate) formats: Vec<&'static Format>,
    pub(crate) compression: bool,
    pub(crate) timeouts: ScrapeTimeouts,
    /// Zero is no limit, as is none.
    pub(crate) max_requests: Option<usize>,
    pub(crate) ready: bool,
}

/// The page that is served unless another one is set.
#[cfg(feature = "page")]
fn default_page() -> Option<Box<dyn Render>> {
    Some(Box::new(Landing(Page::unnamed())))
}

#[cfg(not(feature = "page"))]
fn default_page() -> Option<Box<dyn Render>> {
    None
}

impl MetricsOptions {
    /// Returns the defaults, given those that the builder publishes.
    pub(crate) fn new(metrics_path: &str, max_probes: usize, timeouts: ScrapeTimeouts) -> Self {
        MetricsOptions {
            contents: Contents { self_metrics: true, ..Contents::default() },
            metrics_path: metrics_path.to_owned(),
            metrics_path_option: "metrics_path",
            probes: Vec::new(),
            max_probes: Some(max_probes),
            probe_debug: false,
            default_collectors: None,
            build_info: None,
            landing_page: default_page(),
            formats: vec![&TEXT_004, &TEXT_100],
            compression: true,
            timeouts,
            max_requests: None,
            ready: true,
        }
    }

    /// Switches these formats on or off.
    pub(crate) fn serve_formats(&mut self, formats: &[&'static Format], serve: bool) {
        self.formats.retain(|format| !formats.contains(format));
        if serve {
            self.formats.extend(formats);
        }
    }

    /// Adds a registry. A registry without a name is named `default` if it is the first, else by its index.
    pub(crate) fn push(&mut self, name: Option<String>, registry: Registry) {
        let sources = &mut self.contents.sources;
        let default_name = || if sources.is_empty() { DEFAULT.to_owned() } else { sources.len().to_string() };
        let name = name.unwrap_or_else(default_name);
        sources.push(Source { name, origin: SourceOrigin::Registry(registry) });
    }

    /// What is wrong with all of it together.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let sources: Vec<&str> = self.contents.sources.iter().map(|source| source.name.as_str()).collect();
        faults.extend(
            twice(&sources).map(|name| format!("registry_named: {name:?} is the name of two registries")),
        );
        for (at, hook) in self.contents.hooks.iter().enumerate() {
            let (name, sources) = (hook.name(), &self.contents.sources);
            let option = if hook.collects() { "collect" } else { "before_scrape" };
            if self.contents.hooks[..at].iter().any(|other| other.name() == name) {
                faults.push(format!("{option}: {name:?} is the name of two hooks"));
            }
            let is_default = sources.is_empty() && name == DEFAULT;
            if hook.collects() && (is_default || sources.iter().any(|source| source.name == name)) {
                faults.push(format!("{option}: {name:?} is the name of a registry"));
            }
        }
        let mut paths: Vec<&str> = self.probes.iter().map(ProbePath::path).collect();
        paths.push(&self.metrics_path);
        faults.extend(twice(&paths).map(|path| {
            // Who typed a flag knows nothing of the builder's options.
            if path == self.metrics_path && self.metrics_path_option.starts_with("--") {
                format!("{}: {path:?} is the path of a probe", self.metrics_path_option)
            } else {
                format!("probe: {path:?} is the path of the metrics or of another probe")
            }
        }));
        faults
    }

    /// Returns the host program as it is where this is called: hooks run on the runtime around the call, and the default
    /// collectors watch it.
    fn host(&self) -> HostRuntimes {
        let serve = self.default_collectors.unwrap_or(self.contents.sources.is_empty());
        let host =
            HostRuntimes::new(if serve { DefaultCollectors::all() } else { DefaultCollectors::default() });
        host.run_hooks_here();
        host.watch_here();
        host
    }

    pub(crate) fn router(mut self, access: AccessControl, telemetry: Arc<Telemetry>) -> Router {
        self.contents.host = self.host();
        let MetricsOptions {
            mut contents,
            metrics_path,
            metrics_path_option: _,
            probes,
            max_probes,
            probe_debug,
            default_collectors: _,
            build_info,
            landing_page,
            formats,
            compression,
            timeouts,
            max_requests,
            ready,
        } = self;
        telemetry.set_ready(ready);
        contents.by_default = contents.sources.is_empty();
        contents.may_be_empty = !probes.is_empty();
        if contents.by_default {
            let registry = prometheus::default_registry().clone();
            contents
                .sources
                .push(Source { name: DEFAULT.to_owned(), origin: SourceOrigin::Registry(registry) });
        }
        for (index, hook) in contents.hooks.iter().enumerate().filter(|(_, hook)| hook.collects()) {
            contents.sources.push(Source { name: hook.name().to_owned(), origin: SourceOrigin::Hook(index) });
        }
        contents.build_info = build_info.clone().map(registry_of);

        let page = landing_page.map(|page| {
            let version = build_info.as_ref().map(|info| info.version().to_owned());
            let name = build_info.map(|info| info.program().to_owned()).or_else(executable);
            let probes = probes.iter().map(|probe| probe.path().to_owned()).collect();
            let (metrics, formats) = (metrics_path.clone(), formats.clone());
            page.document(Program { name, version }, Endpoints { metrics, formats, probes, health: true })
        });
        let prober =
            Prober::new(probes, max_probes.unwrap_or(usize::MAX), probe_debug, Arc::clone(&telemetry));
        // Zero is no limit, as in the flag.
        let scrape_limit = max_requests
            .filter(|most| *most > 0)
            .map(|most| Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        if scrape_limit.is_some() {
            telemetry.show_rejections(&[RejectReason::MaxRequests]);
        }
        let work = Work::new(contents, Arc::clone(&telemetry));
        Router {
            metrics_path,
            page,
            formats,
            codings: if compression { compress::codings() } else { Vec::new() },
            scrape_timeouts: timeouts,
            scrape_limit,
            scraper: Scraper::new(work, timeouts.standard()),
            prober,
            access,
            telemetry,
        }
    }
}

/// The name of the program's file, without its extension.
fn executable() -> Option<String> {
    let file = env::current_exe().ok()?;
    Some(file.file_stem()?.to_string_lossy().into_owned())
}

/// The names that have occurred before.
fn twice<'n>(names: &[&'n str]) -> impl Iterator<Item = &'n str> {
    let occurs_before = |(at, name): &(usize, &&str)| names[..*at].contains(name);
    names.iter().enumerate().filter(occurs_before).map(|(_, name)| *name)
}
