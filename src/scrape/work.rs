//! The part of a flight outside the runtime: gathering, encoding, compressing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::Registry;

use super::body_writer::{BodyWriter, Unwritten};
use super::delivery::Receipt;
use super::exposition::{Exposition, Recipient, Representation, ScrapeError, ScrapeResult};
use super::gathered::{Gathered, Merged};
use super::groups::{Group, group, take_next};
use super::hooks::{Ended, Hook, HookFailure};
use super::host_runtimes::HostRuntimes;
use super::progress::{Progress, Stuck};
use super::selection::Selection;
use super::unsent::UnsentBudget;
use crate::collector::{self, Samples};
use crate::exposition::chunk::Sink;
use crate::exposition::encode::{self, EscapedFormat, Skipped};
use crate::exposition::filter::Names;
use crate::scrape::gather::{self, Families};
use crate::telemetry::{Cause, Reporter, Telemetry};
use crate::util::throttle::Throttle;

/// A registry, or a hook that collects, with the name by which `registry[]` selects it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) origin: SourceOrigin,
}

/// The origin of a source's families.
#[derive(Debug)]
pub(crate) enum SourceOrigin {
    Registry(Registry),
    /// The samples of the hook with this index.
    Hook(usize),
}

/// The samples of each hook. `None` for a hook that failed or collects nothing.
pub(super) type Collected = Vec<Option<Samples>>;

/// Everything that a server gathers.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Selected by name.
    pub(crate) sources: Vec<Source>,
    /// Whether the default registry is the only source because no other was configured. The program may then use
    /// another version of `prometheus`.
    pub(crate) by_default: bool,
    /// Whether no samples are no mistake: an exporter that only probes has none of its own.
    pub(crate) may_be_empty: bool,
    pub(crate) hooks: Vec<Hook>,
    /// Every selection contains its default collectors and `build_info`. They take precedence over equal series of a
    /// source.
    pub(crate) host: HostRuntimes,
    pub(crate) build_info: Option<Registry>,
    /// Whether every selection contains the server's own metrics too.
    pub(crate) self_metrics: bool,
    /// Maximum bytes of unsent expositions.
    pub(crate) max_unsent: Option<usize>,
}

/// The contents of a server, with its reports.
#[derive(Debug)]
pub(crate) struct Work {
    /// Without hooks, which `hooks` holds.
    contents: Contents,
    hooks: Arc<[Hook]>,
    telemetry: Arc<Telemetry>,
    writer: BodyWriter,
    unsent: UnsentBudget,
    /// How long parts are encoded while a scrape of the whole waits. At least one is.
    pub(super) time_of_parts: Duration,
    progress: Progress,
    scrape_panics: Reporter,
    collector_panics: Reporter,
    type_conflicts: Reporter,
    /// Whether the warning about missing samples was logged. It is logged only once.
    empty: AtomicBool,
    hook_failures: Vec<Throttle>,
}

/// The results of a flight for its waiters.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// The last result. On the engine's runtime, sending it needs no wake-up.
    last: Option<(Group, ScrapeResult)>,
    /// Families that no encoding consumed.
    families: Vec<Families>,
    /// The size of the largest whole exposition.
    largest: Option<usize>,
}

impl Replies {
    /// Sends the last result. Returns values that only need to be dropped.
    pub(super) fn send(self) -> Vec<Families> {
        if let Some((group, outcome)) = self.last {
            group.reply(&outcome);
        }
        self.families
    }
}

/// Comment at the start of an exposition without samples of the program, if its only registry is the default one.
const EMPTY: &str = "\
# The default registry of prometheus_hyper::prometheus has no samples: nothing is registered in it, its metrics have
# no series yet, or they were skipped (see the log). If you registered metrics, look for a second version of prometheus in
# your program: cargo tree -d
# If you need both versions, the example two_versions.rs of prometheus-hyper serves both.
";

/// Comment at the start of such an exposition if registries were configured. `register_*!` registers in none of them.
const EXPLICITLY_EMPTY: &str = "\
# The registries of this server have no samples: nothing is registered in them, their metrics have no series yet, or
# they were skipped (see the log). The macros register_*! use another one, the default registry: prometheus_hyper::default_registry()
";

/// Maximum number of conflicting names in the log.
const MOST_NAMES: usize = 10;

impl Work {
    pub(crate) fn new(mut contents: Contents, telemetry: Arc<Telemetry>) -> Self {
        let hooks = std::mem::take(&mut contents.hooks);
        Work {
            scrape_panics: telemetry.reporter(Cause::Gather),
            collector_panics: telemetry.reporter(Cause::Panic),
            type_conflicts: telemetry.reporter(Cause::TypeConflict),
            empty: AtomicBool::default(),
            hook_failures: hooks.iter().map(|_| Throttle::default()).collect(),
            hooks: hooks.into(),
            writer: BodyWriter::new(&telemetry, ""),
            unsent: UnsentBudget::new(contents.max_unsent),
            time_of_parts: Duration::from_secs(1),
            contents,
            telemetry,
            progress: Progress::default(),
        }
    }

    pub(super) fn sources(&self) -> &[Source] {
        &self.contents.sources
    }

    pub(super) fn unsent(&self) -> &UnsentBudget {
        &self.unsent
    }

    pub(super) fn hooks(&self) -> &Arc<[Hook]> {
        &self.hooks
    }

    pub(super) fn host(&self) -> &HostRuntimes {
        &self.contents.host
    }

    /// Gathers these registries separately, and the families that every selection contains.
    pub(super) fn gather(&self, registries: &Selection, mut collected: Collected) -> Gathered {
        let mut gathered = Gathered::default();
        let mut panics = Vec::new();
        let selected =
            self.contents.sources.iter().enumerate().filter(|(index, _)| registries.contains(*index));
        for (index, source) in selected {
            let (families, is_up) = match &source.origin {
                SourceOrigin::Registry(registry) => {
                    let progress = self.progress.begin(index, Instant::now());
                    let result = gather::gather(registry);
                    if let Some(Stuck { time, .. }) = progress.end(Instant::now()) {
                        let seconds = time.as_secs();
                        tracing::info!(registry = ?source.name, seconds, "collector returned; its registry is served again");
                    }
                    let is_up = result.is_ok();
                    (result.map_err(|message| panics.push((&source.name, message))).ok(), is_up)
                }
                SourceOrigin::Hook(hook) => {
                    let samples = collected.get_mut(*hook).and_then(Option::take);
                    let is_up = samples.is_some();
                    (self.hooks.get(*hook).and_then(|hook| hook.families(samples)), is_up)
                }
            };
            if self.contents.sources.len() > 1 {
                self.telemetry.set_registry_up(&source.name, is_up);
            }
            self.telemetry.set_series(&source.name, families.as_deref().map_or(0, gather::series));
            gathered.push(index, families);
        }
        let log =
            || tracing::error!(?panics, "collectors panicked; their registries are skipped in this scrape");
        self.collector_panics.report(panics.len() as u64, log);
        // The collectors log skipped series themselves. They cannot count them, because they do not know the server.
        self.telemetry.count_errors(Cause::Skipped, collector::take_skipped());
        // A panic here would be a bug of this crate. The other families are served nevertheless.
        let default_collectors = self.host().default_collectors().registries();
        for families in default_collectors.chain(&self.contents.build_info).flat_map(gather::gather) {
            gathered.push_first(families);
        }
        // Last, because these metrics count the gathers above.
        if self.contents.self_metrics {
            gathered.push_own(self.telemetry.families());
        }
        gathered
    }

    /// Encodes each representation that still has waiters, once, and sends all but the last. If there are many metrics,
    /// the last encoding of a selection consumes the families.
    pub(super) fn expose(
        &self,
        mut gathered: Gathered,
        recipients: Vec<(Selection, Recipient)>,
        receipt: &Receipt,
        whole_waits: &dyn Fn() -> bool,
    ) -> Replies {
        let mut groups = group(recipients);
        let (mut replies, mut parts_began) = (Replies::default(), None);
        // Never refuses the whole.
        let mut rejection = |group: &Group| {
            if !group.is_of_a_part() {
                return None;
            }
            if self.unsent.is_exceeded() {
                return Some(ScrapeError::Unsent);
            }
            let time = parts_began.map(|began: Instant| began.elapsed());
            parts_began.get_or_insert_with(Instant::now);
            (time > Some(self.time_of_parts) && whole_waits()).then_some(ScrapeError::Parts)
        };
        // Refused before the merge, which clones the families.
        while let Some(first) = take_next(&mut groups, |_| true, &mut rejection) {
            let is_last = groups.iter().all(|group| group.registries == first.registries);
            let merged = gathered.merge(&first.registries, is_last);
            self.expose_selection(first, merged, &mut groups, receipt, &mut rejection, &mut replies);
        }
        if let Some(largest) = replies.largest {
            self.unsent.flight_ended(largest);
        }
        replies
    }

    /// Encodes this group and the leading ones with the same selection. There are no families if all its registries
    /// failed.
    fn expose_selection(
        &self,
        first: Group,
        merged: Option<Merged>,
        groups: &mut VecDeque<Group>,
        receipt: &Receipt,
        rejection: &mut dyn FnMut(&Group) -> Option<ScrapeError>,
        replies: &mut Replies,
    ) {
        let selection = first.registries.clone();
        let is_of_it = |group: &Group| group.registries == selection;
        let comment = merged.as_ref().and_then(|merged| self.report_merged(merged));
        let mut families = merged.map(|merged| merged.families);
        let many = families.as_deref().is_some_and(encode::are_many);
        let mut next = Some(first);
        while let Some(group) = next {
            groups.retain(Group::is_waited_for);
            let is_last = !groups.front().is_some_and(is_of_it);
            let outcome = match &mut families {
                Some(families) if many && is_last => {
                    let families = std::mem::take(families);
                    self.write(&group.representation, comment, receipt, |format, names, body| {
                        encode::encode_consuming(format, names, families, body)
                    })
                }
                Some(families) => {
                    self.write(&group.representation, comment, receipt, |format, names, body| {
                        encode::encode(format, names, families, body)
                    })
                }
                None => Err(ScrapeError::Collector),
            };
            if let (false, Ok(whole)) = (group.is_of_a_part(), &outcome) {
                replies.largest = replies.largest.max(Some(whole.chunks.iter().map(Bytes::len).sum()));
            }
            if groups.is_empty() {
                replies.last = Some((group, outcome));
            } else {
                group.reply(&outcome);
            }
            // All groups of the selection, because the merge may have consumed the gathered families.
            next = take_next(groups, is_of_it, rejection);
        }
        // Those that the budget kept from being consumed could fill the memory.
        replies.families.extend(families.filter(|_| !many));
    }

    fn write(
        &self,
        representation: &Representation,
        comment: Option<&'static str>,
        receipt: &Receipt,
        encode: impl FnOnce(EscapedFormat, &Names, &mut dyn Sink) -> Skipped,
    ) -> ScrapeResult {
        let written = self.writer.write(representation, comment, |body| {
            encode(representation.format, &representation.names, body)
        });
        let (chunks, coding) = written.map_err(|Unwritten| ScrapeError::Gatherer)?;
        let unsent = self.unsent.count(chunks.iter().map(Bytes::len).sum());
        Ok(Exposition { chunks, coding, unsent, receipt: receipt.clone() })
    }

    /// Counts and logs the findings of a merge. Returns the comment for the exposition.
    fn report_merged(&self, merged: &Merged) -> Option<&'static str> {
        let Merged { conflicts, is_empty, has_families, families: _ } = merged;
        self.type_conflicts.report(conflicts.len() as u64, || {
            tracing::warn!(
                names = ?conflicts.get(..MOST_NAMES).unwrap_or(conflicts),
                count = conflicts.len(),
                "two registries have these names with different types; serving only those of the first registry"
            );
        });
        if !*is_empty || self.contents.may_be_empty || !self.contents.by_default && *has_families {
            return None;
        }
        if !self.empty.swap(true, Ordering::Relaxed) {
            if self.contents.by_default {
                tracing::warn!(
                    "the default registry has no samples: nothing is registered in it, its metrics have no series \
                     yet, or they were skipped. If you registered metrics, look for a second version of prometheus with `cargo tree -d`"
                );
            } else {
                tracing::warn!(
                    "the registries of this server have no samples: nothing is registered in them, their metrics \
                     have no series yet, or they were skipped. `register_*!` registers in the default registry"
                );
            }
        }
        Some(if self.contents.by_default { EMPTY } else { EXPLICITLY_EMPTY })
    }

    /// Logs a registry whose gather has taken at least this long. Called when a scrape times out.
    pub(super) fn report_if_stuck(&self, limit: Duration) {
        let Some(Stuck { registry, time }) = self.progress.report(limit, Instant::now()) else { return };
        if let Some(source) = self.contents.sources.get(registry) {
            let seconds = time.as_secs();
            tracing::warn!(registry = ?source.name, seconds, "collector has not returned; scrapes of its registry time out");
        }
    }

    pub(super) fn report_panic(&self) {
        self.scrape_panics.report(1, || tracing::error!("scrape panicked outside its collectors"));
    }

    pub(super) fn report_hook(&self, index: usize, ended: &Ended) {
        let (Some(hook), Some(failures)) = (self.hooks.get(index), self.hook_failures.get(index)) else {
            return;
        };
        self.telemetry.hook_ended(hook.name(), ended.result.is_ok(), ended.duration);
        let then =
            if hook.collects() { "its series are missing in this scrape" } else { "serving the last values" };
        match &ended.result {
            Ok(_) => {}
            // Caused by a client, so it is logged at debug.
            Err(failure @ HookFailure::CutShort) => {
                tracing::debug!(hook = ?hook.name(), %failure, "hook cancelled; {then}");
            }
            Err(failure) => {
                if failures.allows() {
                    // An error may contain line feeds, so it is written with `?`, which escapes them.
                    let failure = failure.to_string();
                    tracing::warn!(hook = ?hook.name(), ?failure, "hook failed; {then}");
                }
            }
        }
    }
}
