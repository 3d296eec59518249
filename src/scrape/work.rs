//! What a run does on the gathering thread: gather, encode, compress.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::Registry;
use tokio::sync::oneshot;

use super::hooks::{Ended, Hook};
use super::{Exposition, Form, Outcome, Receipt, ScrapeError, Unwritten, Waiter, Writer};
use crate::collector::{self, DefaultCollectors};
use crate::encode;
use crate::gather::{self, Families, Gathering};
use crate::telemetry::{Cause, Telemetry};
use crate::throttle::Throttle;

/// A registry under the name by which `registry[]` selects it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) registry: Registry,
}

/// What a server was given to gather.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Selected by name.
    pub(crate) sources: Vec<Source>,
    /// Whether the one source is the default registry, because no other was named: then it may be that another version
    /// of `prometheus` is filled.
    pub(crate) by_default: bool,
    pub(crate) hooks: Vec<Hook>,
    /// These two come along whatever is selected, and where a source has a series of theirs, it is served once: theirs.
    pub(crate) default_collectors: Option<DefaultCollectors>,
    pub(crate) build_info: Option<Registry>,
    /// Comes along, too.
    pub(crate) self_metrics: bool,
}

/// What is gathered, and what is told about it.
#[derive(Debug)]
pub(crate) struct Work {
    sources: Vec<Source>,
    by_default: bool,
    hooks: Arc<[Hook]>,
    default_collectors: Option<DefaultCollectors>,
    build_info: Option<Registry>,
    self_metrics: bool,
    telemetry: Arc<Telemetry>,
    writer: Writer,
    complaints: Complaints,
}

/// What a run has found.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    families: Families,
    /// A comment in front of them.
    comment: Option<&'static str>,
}

const EMPTY: &str = "\
# Nothing of yours is here: nothing is registered in the default registry of prometheus_hyper::prometheus, or nothing
# of it has a series yet. If they should be here, look for a second version of prometheus in the program: cargo tree -d
";

/// The same of registries that were named.
const EXPLICITLY_EMPTY: &str = "\
# Nothing of yours is here: nothing is registered in the registries that this server was given, or nothing of them has a
# series yet. What register_*! registers is in another one, the default registry: prometheus_hyper::default_registry()
";

/// What is wrong with a collector is wrong at every scrape, and whoever scrapes must not fill the log with it.
#[derive(Debug, Default)]
struct Complaints {
    no_thread: Throttle,
    run: Throttle,
    panic: Throttle,
    type_conflict: Throttle,
    /// Whether it has been said, which is done once.
    empty: AtomicBool,
    hooks: Vec<Throttle>,
}

impl Work {
    pub(crate) fn new(contents: Contents, telemetry: Arc<Telemetry>) -> Self {
        let Contents { sources, by_default, hooks, default_collectors, build_info, self_metrics } = contents;
        let hook_complaints = hooks.iter().map(|_| Throttle::default()).collect();
        let complaints = Complaints { hooks: hook_complaints, ..Complaints::default() };
        Work {
            sources,
            by_default,
            hooks: hooks.into(),
            default_collectors,
            build_info,
            self_metrics,
            writer: Writer::new(Arc::clone(&telemetry), ""),
            telemetry,
            complaints,
        }
    }

    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    pub(super) fn hooks(&self) -> &Arc<[Hook]> {
        &self.hooks
    }

    pub(super) fn default_collectors(&self) -> Option<&DefaultCollectors> {
        self.default_collectors.as_ref()
    }

    /// Gathers the registries at these places, or all; fails if every one of them does.
    pub(super) fn gather(&self, places: Option<&[usize]>) -> Result<Gathered, ScrapeError> {
        let selected = |place: &usize| places.is_none_or(|places| places.contains(place));
        let mut gathering = Gathering::default();
        let mut succeeded = 0;
        let mut panics = Vec::new();
        for (place, source) in self.sources.iter().enumerate() {
            if !selected(&place) {
                continue;
            }
            let result = gathering.add(&source.registry);
            if self.sources.len() > 1 {
                self.telemetry.set_registry_up(&source.name, result.is_ok());
            }
            match result {
                Ok(()) => succeeded += 1,
                Err(message) => panics.push((&source.name, message)),
            }
        }
        self.telemetry.count_errors(Cause::Panic, panics.len() as u64);
        if !panics.is_empty() && self.complaints.panic.allows() {
            tracing::error!(?panics, "collectors panicked, in these registries");
        }
        // They log it themselves, and do not know who gathers them.
        self.telemetry.count_errors(Cause::LeftOut, collector::take_left_out());
        if succeeded == 0 && !panics.is_empty() {
            return Err(ScrapeError::Collector);
        }
        // Of a selection, or where one has failed, there is nothing to say about all of them.
        let all_gathered = places.is_none() && panics.is_empty();
        let comment = if all_gathered { self.explain_if_empty(&gathering) } else { None };
        // A panic in what is ours would be a fault of ours; the others' families are served all the same.
        let default_collectors = self.default_collectors.iter().flat_map(DefaultCollectors::registries);
        for registry in default_collectors.chain(&self.build_info) {
            let _ = gathering.add_first(registry);
        }
        // After the others, for it tells how they fared.
        if self.self_metrics {
            let _ = gathering.add(self.telemetry.registry());
        }
        let (families, conflicts) = gathering.merge();
        self.telemetry.count_errors(Cause::TypeConflict, conflicts.len() as u64);
        if !conflicts.is_empty() && self.complaints.type_conflict.allows() {
            tracing::warn!(
                names = ?conflicts,
                "names under two types, in two registries: only the first one's are served"
            );
        }
        Ok(Gathered { families, comment })
    }

    /// What is to be said if all that was gathered from the sources is nothing, in front of the families and once in the log.
    fn explain_if_empty(&self, gathering: &Gathering) -> Option<&'static str> {
        let mut names = gathering.names();
        let empty =
            if self.by_default { names.all(gather::is_of_prometheus_itself) } else { names.next().is_none() };
        if !empty {
            return None;
        }
        if !self.complaints.empty.swap(true, Ordering::Relaxed) {
            if self.by_default {
                tracing::warn!(
                    "the default registry has no samples: nothing is registered in it, or nothing of it has a series \
                     yet. If they should be there, look for a second version of prometheus with `cargo tree -d`"
                );
            } else {
                tracing::warn!(
                    "the registries that the server was given have no samples: nothing is registered in them, or \
                     nothing of them has a series yet. What `register_*!` registers is in the default registry"
                );
            }
        }
        Some(if self.by_default { EMPTY } else { EXPLICITLY_EMPTY })
    }

    /// Makes each form that somebody still waits for, once; the last one consumes the families if they are many.
    pub(super) fn expose(
        &self,
        gathered: Result<Gathered, ScrapeError>,
        waiters: Vec<Waiter>,
        receipt: &Receipt,
    ) {
        let mut groups = group(waiters);
        let Gathered { mut families, comment } = match gathered {
            Ok(gathered) => gathered,
            Err(error) => return groups.drain(..).for_each(|group| group.reply(&Err(error))),
        };
        let many = encode::are_many(&families);
        while let Some(group) = groups.pop_front() {
            groups.retain(Group::is_waited_for);
            if group.is_waited_for() {
                let (choice, names) = (group.form.choice, &group.form.names);
                let written = self.writer.write(&group.form, comment, |body| {
                    if many && groups.is_empty() {
                        encode::encode_consuming(choice, names, std::mem::take(&mut families), body)
                    } else {
                        encode::encode(choice, names, &families, body)
                    }
                });
                let exposition =
                    written.map(|(pieces, coding)| Exposition { pieces, coding, receipt: receipt.clone() });
                group.reply(&exposition.map_err(|Unwritten| ScrapeError::Gatherer));
            }
        }
    }

    pub(super) fn report_panic(&self) {
        self.telemetry.count_error(Cause::Gather);
        if self.complaints.run.allows() {
            tracing::error!("a scrape panicked outside of its collectors");
        }
    }

    pub(super) fn report_no_thread(&self, error: &io::Error) {
        self.telemetry.count_error(Cause::Gather);
        if self.complaints.no_thread.allows() {
            tracing::error!(%error, "cannot start the thread that gathers the metrics");
        }
    }

    pub(super) fn report_hook(&self, index: usize, ended: &Ended) {
        let (Some(hook), Some(complaint)) = (self.hooks.get(index), self.complaints.hooks.get(index)) else {
            return;
        };
        self.telemetry.hook_ended(hook.name(), ended.result.is_ok(), ended.duration);
        if let Err(failure) = &ended.result {
            if complaint.allows() {
                tracing::warn!(hook = ?hook.name(), %failure, "a hook failed: the metrics are served as they are");
            }
        }
    }
}

/// Those who wait for one form.
struct Group {
    form: Form,
    replies: Vec<oneshot::Sender<Outcome>>,
}

impl Group {
    fn is_waited_for(&self) -> bool {
        !self.replies.iter().all(oneshot::Sender::is_closed)
    }

    fn reply(self, outcome: &Outcome) {
        for reply in self.replies {
            let _ = reply.send(outcome.clone());
        }
    }
}

/// The distinct forms, those without a filter first, else in the order of the first to ask for each.
fn group(waiters: Vec<Waiter>) -> VecDeque<Group> {
    let mut groups: VecDeque<Group> = VecDeque::new();
    let mut places = HashMap::new();
    for Waiter { form, reply } in waiters {
        let place = *places.entry(form.clone()).or_insert_with(|| {
            groups.push_back(Group { form, replies: Vec::new() });
            groups.len() - 1
        });
        groups[place].replies.push(reply);
    }
    // Who wants all goes first: Prometheus does, and does not wait for a hundred filters.
    groups.make_contiguous().sort_by_key(|group| !group.form.names.is_empty());
    groups
}
