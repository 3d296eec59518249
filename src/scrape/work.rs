//! What a flight does outside of the runtime: gather, encode, compress.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::Registry;

use super::delivery::Receipt;
use super::exposition::{Exposition, Outcome, Recipient, Representation, ScrapeError};
use super::gathered::{Gathered, Merged};
use super::groups::{Group, group};
use super::hooks::{Ended, Failure, Hook};
use super::host::Host;
use super::progress::{Progress, Stuck};
use super::selection::Selection;
use super::unsent::UnsentBudget;
use super::writer::{Unwritten, Writer};
use crate::collector::{self, Samples};
use crate::exposition::chunk::Sink;
use crate::exposition::encode::{self, EscapedFormat, Skipped};
use crate::exposition::filter::Names;
use crate::scrape::gather::{self, Families};
use crate::telemetry::{Cause, Reporter, Telemetry};
use crate::util::throttle::Throttle;

/// A registry, or what stands for one, under the name by which `registry[]` selects it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) origin: Origin,
}

/// Where the families of a source come from.
#[derive(Debug)]
pub(crate) enum Origin {
    Registry(Registry),
    /// The samples that the hook at this place collects.
    Hook(usize),
}

/// What the hooks have collected for a flight, each at its place; none if it has failed or collects nothing.
pub(super) type Collected = Vec<Option<Samples>>;

/// What a server was given to gather.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Selected by name.
    pub(crate) sources: Vec<Source>,
    /// Whether the one source is the default registry, because no other was named: then it may be that another version
    /// of `prometheus` is filled.
    pub(crate) by_default: bool,
    /// Whether no samples are no mistake: an exporter that only probes has none of its own.
    pub(crate) may_be_empty: bool,
    pub(crate) hooks: Vec<Hook>,
    /// Its default collectors and the next come along whatever is selected, and where a source has a series of theirs, it is
    /// served once: theirs.
    pub(crate) host: Arc<Host>,
    pub(crate) build_info: Option<Registry>,
    /// Comes along, too.
    pub(crate) self_metrics: bool,
    /// How many bytes of expositions may be unsent.
    pub(crate) max_unsent: Option<usize>,
}

/// What is gathered, and what is told about it.
#[derive(Debug)]
pub(crate) struct Work {
    /// Without its hooks.
    contents: Contents,
    hooks: Arc<[Hook]>,
    telemetry: Arc<Telemetry>,
    writer: Writer,
    unsent: UnsentBudget,
    progress: Progress,
    reports: Reports,
}

/// What a flight gives to those who wait for it.
#[derive(Debug, Default)]
pub(super) struct Replies {
    outcomes: Vec<(Group, Outcome)>,
    /// Those that were not consumed.
    families: Vec<Families>,
}

impl Replies {
    /// Returns the size of the largest whole exposition.
    fn largest(&self) -> Option<usize> {
        let whole = self.outcomes.iter().filter(|(group, _)| !group.is_of_a_part());
        let expositions = whole.filter_map(|(_, outcome)| outcome.as_ref().ok());
        expositions.map(|exposition| exposition.pieces.iter().map(Bytes::len).sum()).max()
    }

    /// Sends them. Returns what is left to drop.
    pub(super) fn send(self) -> Vec<Families> {
        for (group, outcome) in self.outcomes {
            group.reply(&outcome);
        }
        self.families
    }
}

/// The comment in front of an exposition that has no samples of the program's, where its registry is the default one.
const EMPTY: &str = "\
# The default registry of prometheus_hyper::prometheus has no samples: nothing is registered in it, or its metrics have
# no series yet. If you registered metrics, look for a second version of prometheus in your program: cargo tree -d
# If you need both versions, the example two_versions.rs of prometheus-hyper serves both.
";

/// The comment where the server was given registries. What `register_*!` registers is in none of them.
const EXPLICITLY_EMPTY: &str = "\
# The registries of this server have no samples: nothing is registered in them, or their metrics have no series yet.
# register_*! registers in another one, the default registry: prometheus_hyper::default_registry()
";

/// What counts and logs what is wrong.
#[derive(Debug)]
struct Reports {
    scrape_panics: Reporter,
    collector_panics: Reporter,
    type_conflicts: Reporter,
    /// Whether it has been said, which is done once.
    empty: AtomicBool,
    hooks: Vec<Throttle>,
}

impl Work {
    pub(crate) fn new(mut contents: Contents, telemetry: Arc<Telemetry>) -> Self {
        let hooks = std::mem::take(&mut contents.hooks);
        let reports = Reports {
            scrape_panics: telemetry.reporter(Cause::Gather),
            collector_panics: telemetry.reporter(Cause::Panic),
            type_conflicts: telemetry.reporter(Cause::TypeConflict),
            empty: AtomicBool::default(),
            hooks: hooks.iter().map(|_| Throttle::default()).collect(),
        };
        Work {
            hooks: hooks.into(),
            writer: Writer::new(&telemetry, ""),
            unsent: UnsentBudget::new(contents.max_unsent),
            contents,
            telemetry,
            progress: Progress::default(),
            reports,
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

    pub(super) fn host(&self) -> &Host {
        &self.contents.host
    }

    /// Gathers these registries, each by itself, and what comes along.
    pub(super) fn gather(&self, registries: &Selection, mut collected: Collected) -> Gathered {
        let mut gathered = Gathered::default();
        let mut panics = Vec::new();
        let selected =
            self.contents.sources.iter().enumerate().filter(|(index, _)| registries.contains(*index));
        for (index, source) in selected {
            let (families, is_up) = match &source.origin {
                Origin::Registry(registry) => {
                    let progress = self.progress.begin(index, Instant::now());
                    let result = gather::gather(registry);
                    if let Some(Stuck { time, .. }) = progress.end(Instant::now()) {
                        let seconds = time.as_secs();
                        tracing::info!(registry = ?source.name, seconds, "collector returned; its registry is served again");
                    }
                    let is_up = result.is_ok();
                    (result.map_err(|message| panics.push((&source.name, message))).ok(), is_up)
                }
                Origin::Hook(hook) => {
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
            || tracing::error!(?panics, "collectors panicked; their registries are left out of this scrape");
        self.reports.collector_panics.report(panics.len() as u64, log);
        // They log it themselves, and do not know who gathers them.
        self.telemetry.count_errors(Cause::Skipped, collector::take_skipped());
        // A panic in what is ours would be a fault of ours; the others' families are served all the same.
        let default_collectors = self.host().default_collectors().registries();
        for families in default_collectors.chain(&self.contents.build_info).flat_map(gather::gather) {
            gathered.push_first(families);
        }
        // After the others, for it tells how they fared.
        if self.contents.self_metrics {
            gathered.push_own(gather::gather(self.telemetry.registry()).unwrap_or_default());
        }
        gathered
    }

    /// Encodes each representation that somebody still waits for, once. Where metrics are many, the last one of a selection
    /// consumes the families.
    pub(super) fn expose(
        &self,
        mut gathered: Gathered,
        recipients: Vec<(Selection, Recipient)>,
        receipt: &Receipt,
    ) -> Replies {
        let mut groups = group(recipients);
        let mut replies = Replies::default();
        loop {
            groups.retain(Group::is_waited_for);
            let Some(next) = groups.front() else { break };
            let selection = next.registries.clone();
            let is_last = groups.iter().all(|group| group.registries == selection);
            let merged = gathered.merge(&selection, is_last);
            self.expose_selection(&selection, merged, &mut groups, receipt, &mut replies);
        }
        if let Some(largest) = replies.largest() {
            self.unsent.flight_ended(largest);
        }
        replies
    }

    /// The same for the groups in front, which want this selection; there are no families if all of its registries failed.
    fn expose_selection(
        &self,
        selection: &Selection,
        merged: Option<Merged>,
        groups: &mut VecDeque<Group>,
        receipt: &Receipt,
        replies: &mut Replies,
    ) {
        let is_of_it = |group: &Group| group.registries == *selection;
        let comment = merged.as_ref().and_then(|merged| self.report_merged(merged));
        let mut families = merged.map(|merged| merged.families);
        let many = families.as_deref().is_some_and(encode::are_many);
        while groups.front().is_some_and(is_of_it) {
            let Some(group) = groups.pop_front() else { break };
            groups.retain(Group::is_waited_for);
            let is_last = !groups.front().is_some_and(is_of_it);
            let outcome = match &mut families {
                Some(_) if self.unsent.is_exceeded() && group.is_of_a_part() => Err(ScrapeError::Unsent),
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
            replies.outcomes.push((group, outcome));
        }
        replies.families.extend(families);
    }

    fn write(
        &self,
        representation: &Representation,
        comment: Option<&'static str>,
        receipt: &Receipt,
        encode: impl FnOnce(EscapedFormat, &Names, &mut dyn Sink) -> Skipped,
    ) -> Outcome {
        let written = self.writer.write(representation, comment, |body| {
            encode(representation.format, &representation.names, body)
        });
        let (pieces, coding) = written.map_err(|Unwritten| ScrapeError::Gatherer)?;
        let unsent = self.unsent.count(pieces.iter().map(Bytes::len).sum());
        Ok(Exposition { pieces, coding, unsent, receipt: receipt.clone() })
    }

    /// Counts and logs what was found where registries were merged. Returns the comment in front of them.
    fn report_merged(&self, merged: &Merged) -> Option<&'static str> {
        let Merged { conflicts, is_empty, has_families, families: _ } = merged;
        self.reports.type_conflicts.report(conflicts.len() as u64, || {
            tracing::warn!(
                names = ?conflicts,
                "names under two types, in two registries: only the first one's are served"
            );
        });
        if !*is_empty || self.contents.may_be_empty || !self.contents.by_default && *has_families {
            return None;
        }
        if !self.reports.empty.swap(true, Ordering::Relaxed) {
            if self.contents.by_default {
                tracing::warn!(
                    "the default registry has no samples: nothing is registered in it, or its metrics have no series \
                     yet. If you registered metrics, look for a second version of prometheus with `cargo tree -d`"
                );
            } else {
                tracing::warn!(
                    "the registries of this server have no samples: nothing is registered in them, or their metrics \
                     have no series yet. `register_*!` registers in the default registry"
                );
            }
        }
        Some(if self.contents.by_default { EMPTY } else { EXPLICITLY_EMPTY })
    }

    /// Logs that a registry has been gathered for as long as this or longer, for a scrape whose deadline has passed.
    pub(super) fn report_if_stuck(&self, limit: Duration) {
        let Some(Stuck { registry, time }) = self.progress.report(limit, Instant::now()) else { return };
        if let Some(source) = self.contents.sources.get(registry) {
            let seconds = time.as_secs();
            tracing::warn!(registry = ?source.name, seconds, "collector has not returned; scrapes of its registry time out");
        }
    }

    pub(super) fn report_panic(&self) {
        self.reports
            .scrape_panics
            .report(1, || tracing::error!("a scrape panicked outside of its collectors"));
    }

    pub(super) fn report_hook(&self, index: usize, ended: &Ended) {
        let (Some(hook), Some(complaint)) = (self.hooks.get(index), self.reports.hooks.get(index)) else {
            return;
        };
        self.telemetry.hook_ended(hook.name(), ended.result.is_ok(), ended.duration);
        let then =
            if hook.collects() { "its series are missing in this scrape" } else { "serving the last values" };
        match &ended.result {
            Ok(_) => {}
            // What a client did.
            Err(failure @ Failure::CutShort) => {
                tracing::debug!(hook = ?hook.name(), %failure, "hook cancelled; {then}");
            }
            Err(failure) => {
                if complaint.allows() {
                    // Printed here, so that an error whose `Display` panics costs this scrape, with any log and with none.
                    let failure = failure.to_string();
                    tracing::warn!(hook = ?hook.name(), %failure, "hook failed; {then}");
                }
            }
        }
    }
}
