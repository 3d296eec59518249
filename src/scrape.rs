//! A scrape: hooks, gather, encode and compress, off the runtime, shared by all who ask meanwhile, each under a deadline
//! of its own. Knows neither HTTP nor sockets.

mod delivery;
mod hooks;
mod share;
mod work;
mod writer;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::compress::Coding;
use crate::encode::Choice;
use crate::query::Names;
use crate::unwind::caught;

pub use hooks::{BoxError, Scrape};

pub(crate) use delivery::{Deliveries, Receipt};
pub(crate) use hooks::Hook;
pub(crate) use share::Epoch;
pub(crate) use work::{Contents, Source, Work};
pub(crate) use writer::{Unwritten, Writer, Written};

use share::{Share, WaiterId};

/// Which registries are gathered: their places among the server's, in order; those of all if there is no choice.
pub(crate) type Selection = Option<Vec<usize>>;

/// How an exposition is written. Each distinct form of a run is made once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Form {
    pub(crate) choice: Choice,
    pub(crate) coding: Coding,
    pub(crate) names: Names,
}

/// What a run gives to those who asked for one form.
#[derive(Clone, Debug)]
pub(crate) struct Exposition {
    /// Complete.
    pub(crate) pieces: Vec<Bytes>,
    /// What it is compressed with, which may be less than was asked for.
    pub(crate) coding: Coding,
    /// To be handed in when it has been written to a client.
    pub(crate) receipt: Receipt,
}

/// Why there is no exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScrapeError {
    /// All registries failed.
    Collector,
    /// There is no thread to gather on.
    Gatherer,
    /// The deadline has passed.
    Timeout,
}

type Outcome = Result<Exposition, ScrapeError>;

/// Runs scrapes on a thread of its own: started at the first scrape, one per server, long-lived, detached.
///
/// Not on the host's blocking pool: a collector that hangs there keeps `#[tokio::main]` from ever returning.
/// Not a fresh thread per scrape: its page faults cost half as much again.
#[derive(Debug)]
pub(crate) struct Scraper {
    shared: Arc<Shared>,
}

/// One who waits for a form of a run.
#[derive(Debug)]
struct Waiter {
    form: Form,
    reply: oneshot::Sender<Outcome>,
}

#[derive(Debug)]
struct Shared {
    work: Work,
    /// Where hooks run: the runtime on which the server was bound, else its own.
    runtime: OnceLock<Handle>,
    state: Mutex<State>,
    /// Told of everything that the thread may wait for.
    changed: Condvar,
    deliveries: Deliveries,
}

#[derive(Debug)]
struct State {
    share: Share<Selection, Waiter>,
    /// Whether there is a thread that serves the runs.
    served: bool,
    /// The server is gone: the thread ends when it can.
    closed: bool,
    hooks: HooksOfRun,
}

/// The hooks of the run that is under way.
#[derive(Debug, Default)]
struct HooksOfRun {
    /// Reports of earlier runs' hooks come too late.
    run: u64,
    ended: Vec<Option<hooks::Ended>>,
}

impl Scraper {
    pub(crate) fn new(work: Work) -> Self {
        let state = State { share: Share::new(), served: false, closed: false, hooks: HooksOfRun::default() };
        let shared = Shared {
            work,
            runtime: OnceLock::new(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            deliveries: Deliveries::new(),
        };
        Scraper { shared: Arc::new(shared) }
    }

    /// Lets hooks run on this runtime, unless they have one.
    pub(crate) fn run_hooks_on(&self, runtime: Handle) {
        self.shared.runtime.get_or_init(|| runtime);
    }

    /// Where hooks run, once it is known.
    pub(crate) fn runtime_of_hooks(&self) -> Option<&Handle> {
        self.shared.runtime.get()
    }

    /// Lets the default collectors watch this runtime, unless they watch one or there are none.
    pub(crate) fn watch(&self, runtime: &Handle) {
        if let Some(collectors) = self.shared.work.default_collectors() {
            collectors.watch(runtime);
        }
    }

    /// Measures how long the runtime that is watched keeps a ready task waiting, for as long as this is polled.
    pub(crate) async fn probe(&self) {
        match self.shared.work.default_collectors() {
            Some(collectors) => collectors.probe().await,
            None => std::future::pending().await,
        }
    }

    /// Whoever asks from now on gets nothing that was begun before. What is gathered from now on belongs to the epoch
    /// that this returns, or to a later one.
    pub(crate) fn seal(&self) -> Epoch {
        self.shared.state().share.seal()
    }

    /// What has been written to clients.
    pub(crate) fn deliveries(&self) -> &Deliveries {
        &self.shared.deliveries
    }

    /// The places of the registries of these names; none if one of them is unknown.
    pub(crate) fn select(&self, names: &[String]) -> Option<Selection> {
        if names.is_empty() {
            return Some(None);
        }
        let sources = self.shared.work.sources();
        let place = |name: &String| sources.iter().position(|source| source.name == *name);
        let mut places = names.iter().map(place).collect::<Option<Vec<_>>>()?;
        places.sort_unstable();
        places.dedup();
        Some((places.len() < sources.len()).then_some(places))
    }

    /// The exposition in this form, gathered after now or in a gather that is under way; at the deadline an error.
    ///
    /// A wait that is dropped leaves no trace: a run for which nobody waits any more is not begun, and its hooks are
    /// cancelled.
    pub(crate) async fn scrape(&self, form: Form, selection: Selection, deadline: Instant) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let waiting = {
            let mut state = self.shared.state();
            let id = state.share.join(selection, deadline, Waiter { form, reply });
            let waiting = Waiting { shared: &self.shared, id };
            if let Err(error) = self.shared.serve(&mut state) {
                drop(state);
                drop(waiting);
                self.shared.work.report_no_thread(&error);
                return Err(ScrapeError::Gatherer);
            }
            waiting
        };
        self.shared.changed.notify_one();
        let outcome = tokio::time::timeout_at(deadline.into(), outcome).await;
        drop(waiting);
        match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(ScrapeError::Gatherer),
            Err(_) => Err(ScrapeError::Timeout),
        }
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_one();
    }
}

/// A place among those who wait.
struct Waiting<'s> {
    shared: &'s Shared,
    id: WaiterId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.shared.state().share.leave(self.id) {
            self.shared.changed.notify_one();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that there is a thread.
    fn serve(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        if !state.served {
            let shared = Arc::clone(self);
            thread::Builder::new().name("prometheus-hyper-gather".to_owned()).spawn(move || {
                let _unserved = Unserved(&shared);
                shared.serve_runs();
            })?;
            state.served = true;
        }
        Ok(())
    }

    /// The thread's life: run after run, until the server is gone.
    fn serve_runs(self: &Arc<Self>) {
        let mut hooks = RunningHooks::default();
        while let Some((selection, deadline)) = self.next_run() {
            // Collectors have a catch of their own. This one is for what else is not ours: errors that print and drop
            // themselves, the log.
            if caught(|| self.run(selection.as_deref(), deadline, &mut hooks)).is_none() {
                let orphans = self.state().share.close();
                drop(orphans);
                caught(|| self.work.report_panic());
            }
        }
    }

    fn run(self: &Arc<Self>, selection: Option<&[usize]>, deadline: Instant, hooks: &mut RunningHooks) {
        self.run_hooks(deadline, hooks);
        if self.state().share.forget_if_abandoned() {
            return;
        }
        let gathered = self.work.gather(selection);
        // A collector may have been away for an hour, and what was gathered before it is as old as that. Those for whom
        // the run was begun have gone by then; who waits now has come since.
        if Instant::now() > deadline {
            return self.state().share.restart();
        }
        let (epoch, waiters) = {
            let mut state = self.state();
            (state.share.began_in(), state.share.close())
        };
        self.work.expose(gathered, waiters, &self.deliveries.receipt(epoch));
    }

    fn next_run(&self) -> Option<(Selection, Instant)> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some((selection, deadline)) = state.share.begin() {
                return Some((selection.clone(), deadline));
            }
            state = self.wait(state, None);
        }
    }

    /// Runs all hooks at once and waits for them: until half of the run's time is over, or nobody waits for the run.
    ///
    /// One that is still at its work of an earlier run, for aborting takes a runtime that is not blocked, is not begun
    /// again: a hook that hangs must not take one thread after the other from the host.
    fn run_hooks(self: &Arc<Self>, deadline: Instant, running: &mut RunningHooks) {
        let hooks = self.work.hooks();
        if hooks.is_empty() {
            return;
        }
        let Some(runtime) = self.runtime.get() else { return };
        let started = Instant::now();
        let limit = started + deadline.saturating_duration_since(started) / 2;
        let run = self.state().hooks.begin(hooks.len());
        running.tasks.resize_with(hooks.len(), || None);
        for (index, task) in running.tasks.iter_mut().enumerate() {
            if task.as_ref().is_some_and(|task| !task.has_ended.load(Ordering::Acquire)) {
                self.hook_ended(run, index, hooks::Ended::late(started));
                continue;
            }
            let has_ended = Arc::new(AtomicBool::new(false));
            let (shared, tell) = (Arc::clone(self), Arc::clone(&has_ended));
            let report = move |ended| {
                tell.store(true, Ordering::Release);
                shared.hook_ended(run, index, ended);
            };
            let handle = hooks::start(hooks, index, limit, runtime, report);
            *task = Some(RunningHook { handle, has_ended });
        }

        let mut state = self.state();
        while state.hooks.are_running() && !state.share.is_abandoned() && Instant::now() < limit {
            state = self.wait(state, Some(limit));
        }
        // In one step with the look: who comes now must not take part in a run whose hooks are about to be aborted.
        let abandoned = state.share.forget_if_abandoned();
        let ended = state.hooks.close();
        drop(state);

        running.tasks.iter().flatten().for_each(|task| task.handle.abort());
        for (index, ended) in ended.into_iter().enumerate() {
            // One that was cut short because nobody waits has neither succeeded nor failed.
            if let Some(ended) = ended.or_else(|| (!abandoned).then(|| hooks::Ended::late(started))) {
                self.work.report_hook(index, &ended);
            }
        }
    }

    fn hook_ended(&self, run: u64, index: usize, ended: hooks::Ended) {
        let too_late = self.state().hooks.end(run, index, ended);
        self.changed.notify_one();
        // Its error is the host's code: it is dropped without the lock.
        drop(too_late);
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>, until: Option<Instant>) -> MutexGuard<'s, State> {
        match until {
            Some(until) => {
                let limit = until.saturating_duration_since(Instant::now());
                let (state, _) =
                    self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner);
                state
            }
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// The last task of each hook, ended or not.
#[derive(Default)]
struct RunningHooks {
    tasks: Vec<Option<RunningHook>>,
}

struct RunningHook {
    handle: JoinHandle<()>,
    /// Set with its report, for the handle says so a moment later only, in which the next run may have begun.
    has_ended: Arc<AtomicBool>,
}

impl HooksOfRun {
    fn begin(&mut self, count: usize) -> u64 {
        self.ended = (0..count).map(|_| None).collect();
        self.run
    }

    /// Gives it back if it comes too late.
    fn end(&mut self, run: u64, index: usize, ended: hooks::Ended) -> Option<hooks::Ended> {
        match self.ended.get_mut(index).filter(|_| run == self.run) {
            Some(slot) => slot.replace(ended),
            None => Some(ended),
        }
    }

    fn are_running(&self) -> bool {
        self.ended.iter().any(Option::is_none)
    }

    fn close(&mut self) -> Vec<Option<hooks::Ended>> {
        self.run += 1;
        std::mem::take(&mut self.ended)
    }
}

/// Notes the end of the thread, whatever ended it, so that the next scrape starts another.
struct Unserved<'s>(&'s Shared);

impl Drop for Unserved<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.served = false;
        // Whoever waits for the run that died with the thread is told so by the end of its channel.
        let orphans = state.share.close();
        drop(state);
        drop(orphans);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::mpsc;
    use std::time::Duration;

    use prometheus::core::{Collector, Desc};
    use prometheus::proto::MetricFamily;
    use prometheus::{IntCounter, Registry};

    use super::*;
    use crate::telemetry::Telemetry;

    /// Far beyond whatever a test waits for.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn form() -> Form {
        Form { choice: Choice::FALLBACK, coding: Coding::Identity, names: Names::default() }
    }

    /// Counts its gathers, tells of each, and lets it end when it is told to.
    struct Gate(IntCounter, Mutex<mpsc::Sender<()>>, Mutex<mpsc::Receiver<()>>);

    impl Collector for Gate {
        fn desc(&self) -> Vec<&Desc> {
            self.0.desc()
        }
        fn collect(&self) -> Vec<MetricFamily> {
            self.0.inc();
            let _ = self.1.lock().unwrap().send(());
            let _ = self.2.lock().unwrap().recv();
            self.0.collect()
        }
    }

    struct Gated {
        scraper: Scraper,
        gathers: IntCounter,
        begun: mpsc::Receiver<()>,
        open: mpsc::Sender<()>,
    }

    fn gated(hooks: Vec<Hook>) -> Gated {
        let (gathers, (tell, begun), (open, opened)) =
            (IntCounter::new("gathers", "help").unwrap(), mpsc::channel(), mpsc::channel());
        let registry = Registry::new();
        registry.register(Box::new(Gate(gathers.clone(), tell.into(), opened.into()))).unwrap();
        let sources = vec![Source { name: "default".to_owned(), registry }];
        let contents = Contents { sources, hooks, ..Contents::default() };
        let scraper = Scraper::new(Work::new(contents, Arc::new(Telemetry::new())));
        if let Ok(runtime) = Handle::try_current() {
            scraper.run_hooks_on(runtime);
        }
        Gated { scraper, gathers, begun, open }
    }

    fn text(outcome: Outcome) -> String {
        String::from_utf8(outcome.unwrap().pieces.concat()).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_waiter_has_its_own_deadline_and_cancels_nobodys_work() {
        let Gated { scraper, gathers, begun, open } = gated(Vec::new());
        let patient = scraper.scrape(form(), None, Instant::now() + PATIENCE);
        let impatient = async {
            let outcome = scraper.scrape(form(), None, Instant::now() + Duration::from_millis(20)).await;
            assert_eq!(outcome.unwrap_err(), ScrapeError::Timeout);
            begun.recv_timeout(PATIENCE).unwrap();
            open.send(()).unwrap();
        };
        let (outcome, ()) = tokio::join!(patient, impatient);
        assert!(text(outcome).ends_with("gathers 1\n"));
        assert_eq!(gathers.get(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_gather_for_which_nobody_waits_any_more_does_not_begin() {
        let Gated { scraper, gathers, begun, open } = gated(Vec::new());
        let first = scraper.scrape(form(), None, Instant::now() + PATIENCE);
        let dropped = async {
            tokio::task::block_in_place(|| begun.recv_timeout(PATIENCE)).unwrap();
            // Another selection, so that it does not take part in the gather that is under way.
            let second = scraper.scrape(form(), Some(vec![0]), Instant::now() + PATIENCE);
            assert!(tokio::time::timeout(Duration::from_millis(20), second).await.is_err());
            open.send(()).unwrap();
            open.send(()).unwrap();
        };
        let (outcome, ()) = tokio::join!(first, dropped);
        text(outcome);
        // Behind where the dropped one would have been.
        text(scraper.scrape(form(), None, Instant::now() + PATIENCE).await);
        assert_eq!(gathers.get(), 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn hooks_for_which_nobody_waits_any_more_are_cancelled_and_nothing_is_gathered() {
        struct Tells(mpsc::Sender<&'static str>);
        impl Drop for Tells {
            fn drop(&mut self) {
                let _ = self.0.send("cancelled");
            }
        }
        let (tell, told) = mpsc::channel();
        let hook = Hook::new("slow".to_owned(), move |_| {
            let tells = Tells(tell.clone());
            async move {
                let _ = tells.0.send("begun");
                std::future::pending().await
            }
        });
        let Gated { scraper, gathers, open, .. } = gated(vec![hook]);
        let scrape = scraper.scrape(form(), None, Instant::now() + PATIENCE);
        let listen = |told: mpsc::Receiver<_>| async {
            tokio::task::spawn_blocking(move || (told.recv_timeout(PATIENCE), told)).await.unwrap()
        };
        let told = tokio::select! {
            _ = scrape => panic!("the hook never ends"),
            (said, told) = listen(told) => {
                assert_eq!(said, Ok("begun"));
                told
            }
        };
        // Now that the wait is dropped.
        assert_eq!(listen(told).await.0, Ok("cancelled"));
        assert_eq!(gathers.get(), 0);
        drop(open);
    }

    /// A collector came back after an hour, and who had just asked got values of an hour ago.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_gathered_beyond_its_deadline_is_gathered_again() {
        let Gated { scraper, gathers, begun, open } = gated(Vec::new());
        let outcome = scraper.scrape(form(), None, Instant::now() + Duration::from_millis(20)).await;
        assert_eq!(outcome.unwrap_err(), ScrapeError::Timeout);
        let (outcome, ()) = tokio::join!(scraper.scrape(form(), None, Instant::now() + PATIENCE), async {
            tokio::task::block_in_place(|| begun.recv_timeout(PATIENCE)).unwrap();
            open.send(()).unwrap();
            open.send(()).unwrap();
        });
        assert!(text(outcome).ends_with("gathers 2\n"));
        assert_eq!(gathers.get(), 2);
    }

    /// Aborting a task takes a runtime that polls it.
    #[test]
    fn a_hook_that_is_still_running_is_not_begun_again() {
        let blocked = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let scraper = {
            let _context = blocked.enter();
            gated(vec![Hook::new("stuck".to_owned(), |_| async { Ok(()) })])
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        drop(scraper.open);
        for _ in 0..5 {
            let deadline = Instant::now() + Duration::from_millis(100);
            let _ = runtime.block_on(scraper.scraper.scrape(form(), None, deadline));
        }
        assert_eq!(blocked.metrics().num_alive_tasks(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_error_that_panics_when_it_is_printed_costs_a_scrape_not_the_thread() {
        #[derive(Debug)]
        struct Panics;
        impl std::fmt::Display for Panics {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                panic!("this panic is the test's")
            }
        }
        impl std::error::Error for Panics {}
        let hook = Hook::new("bad".to_owned(), |_| async { Err(Panics.into()) });
        let Gated { scraper, open, .. } = gated(vec![hook]);
        drop(open);
        let printing = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
        tracing::subscriber::set_global_default(printing).ok();
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            outcomes.push(scraper.scrape(form(), None, Instant::now() + PATIENCE).await.is_ok());
        }
        // It is logged once a minute; whether it was before is another test's.
        assert!(outcomes[1], "{outcomes:?}");
    }

    #[test]
    fn registries_are_selected_by_name() {
        let names = ["a", "b", "c"];
        let sources = names
            .map(|name| Source { name: name.to_owned(), registry: Registry::new() })
            .into_iter()
            .collect();
        let contents = Contents { sources, self_metrics: true, ..Contents::default() };
        let scraper = Scraper::new(Work::new(contents, Arc::new(Telemetry::new())));
        let select = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            scraper.select(&names)
        };
        let table: HashMap<&[&str], Option<Selection>> = HashMap::from([
            (&[][..], Some(None)),
            (&["b"][..], Some(Some(vec![1]))),
            (&["c", "a", "c"][..], Some(Some(vec![0, 2]))),
            (&["c", "b", "a"][..], Some(None)),
            (&["a", "x"][..], None),
        ]);
        for (names, expected) in table {
            assert_eq!(select(names), expected, "{names:?}");
        }
    }
}
