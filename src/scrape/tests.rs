//! The scraper on its engine, with hooks and collectors that wait for a signal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};

use super::*;
use crate::exposition::compress::Coding;
use crate::exposition::encode::FALLBACK;
use crate::exposition::filter::Names;
use crate::telemetry::Telemetry;

/// Far longer than any wait of a test.
const PATIENCE: Duration = Duration::from_secs(30);

impl Scraper {
    /// Scrapes all registries with this timeout.
    async fn ask(&self, timeout: Duration) -> ScrapeResult {
        self.ask_until(timeout, Instant::now() + timeout).await
    }

    async fn ask_until(&self, timeout: Duration, deadline: Instant) -> ScrapeResult {
        let representation =
            Representation { format: FALLBACK, coding: Coding::Identity, names: Names::default() };
        self.scrape(representation, Selection::All, timeout, deadline).await
    }
}

/// Counts its gathers, reports each one, and waits for a signal to end it.
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
    let sources = vec![Source { name: "default".to_owned(), origin: SourceOrigin::Registry(registry) }];
    let contents = Contents { sources, hooks, ..Contents::default() };
    contents.host.run_hooks_here();
    let scraper = Scraper::new(Work::new(contents, Arc::new(Telemetry::new())), PATIENCE);
    scraper.start("test".to_owned(), || Ok(std::future::pending())).unwrap();
    Gated { scraper, gathers, begun, open }
}

fn text(outcome: ScrapeResult) -> String {
    String::from_utf8(outcome.unwrap().chunks.concat()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_waiter_has_its_own_deadline() {
    let Gated { scraper, gathers, begun, open } = gated(Vec::new());
    let patient = scraper.ask(PATIENCE);
    let impatient = async {
        let outcome = scraper.ask(Duration::from_millis(20)).await;
        assert_eq!(outcome.unwrap_err(), ScrapeError::Timeout);
        begun.recv_timeout(PATIENCE).unwrap();
        open.send(()).unwrap();
    };
    let (outcome, ()) = tokio::join!(patient, impatient);
    assert!(text(outcome).ends_with("gathers 1\n"));
    assert_eq!(gathers.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gather_without_waiters_does_not_begin() {
    let Gated { scraper, gathers, begun, open } = gated(Vec::new());
    let first = scraper.ask(PATIENCE);
    let dropped = async {
        tokio::task::block_in_place(|| begun.recv_timeout(PATIENCE)).unwrap();
        // Keeps the next scrape out of the running gather.
        scraper.seal();
        let second = scraper.ask(PATIENCE);
        assert!(tokio::time::timeout(Duration::from_millis(20), second).await.is_err());
        open.send(()).unwrap();
        open.send(()).unwrap();
    };
    let (outcome, ()) = tokio::join!(first, dropped);
    text(outcome);
    // After the point where the dropped scrape would have been gathered.
    text(scraper.ask(PATIENCE).await);
    assert_eq!(gathers.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_without_waiters_are_cancelled() {
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
    let scrape = scraper.ask(PATIENCE);
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
    // The wait is dropped now.
    assert_eq!(listen(told).await.0, Ok("cancelled"));
    assert_eq!(gathers.get(), 0);
    drop(open);
}

/// A patient scrape that had joined the gather of an impatient one got a 503, because that gather was repeated.
#[tokio::test(flavor = "multi_thread")]
async fn an_impatient_scrapes_gather_serves_a_patient_one() {
    let Gated { scraper, gathers, begun, open } = gated(Vec::new());
    let outcome = scraper.ask(Duration::from_millis(20)).await;
    assert_eq!(outcome.unwrap_err(), ScrapeError::Timeout);
    let (outcome, ()) = tokio::join!(scraper.ask(PATIENCE), async {
        tokio::task::block_in_place(|| begun.recv_timeout(PATIENCE)).unwrap();
        open.send(()).unwrap();
    });
    assert!(text(outcome).ends_with("gathers 1\n"));
    assert_eq!(gathers.get(), 1);
}

/// A collector returned after an hour, and a new scrape got values of an hour ago.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_gets_no_gather_older_than_its_timeout() {
    let Gated { scraper, gathers, begun, open } = gated(Vec::new());
    let start = Instant::now();
    // A scrape may give up before its gather begins.
    while begun.try_recv().is_err() {
        assert!(start.elapsed() < PATIENCE, "no gather begins");
        let outcome = scraper.ask(Duration::from_millis(20)).await;
        assert_eq!(outcome.unwrap_err(), ScrapeError::Timeout);
    }
    let impatient = scraper.ask_until(Duration::ZERO, Instant::now() + PATIENCE);
    let (outcome, ()) = tokio::join!(impatient, async {
        open.send(()).unwrap();
        open.send(()).unwrap();
    });
    assert!(text(outcome).ends_with("gathers 2\n"));
    assert_eq!(gathers.get(), 2);
}

/// Aborting a task needs a runtime that polls it.
#[test]
fn a_running_hook_is_not_started_again() {
    let blocked = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let scraper = {
        let _context = blocked.enter();
        gated(vec![Hook::new("stuck".to_owned(), |_| async { Ok(()) })])
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    drop(scraper.open);
    for _ in 0..5 {
        let _ = runtime.block_on(scraper.scraper.ask(Duration::from_millis(100)));
    }
    assert_eq!(blocked.metrics().num_alive_tasks(), 1);
}

/// Prometheus scraped while the hook of an impatient scrape was being cancelled, and got the hook's old values.
#[test]
fn a_cancelled_hook_starts_again_once_its_task_has_ended() {
    let hooks_runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let Gated { scraper, open, .. } = {
        let (_context, runs) = (hooks_runtime.enter(), Arc::clone(&runs));
        gated(vec![Hook::new("slow".to_owned(), move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        })])
    };
    drop(open);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The hook's task is aborted but does not end, because no thread polls it.
    let _ = runtime.block_on(scraper.ask(Duration::from_millis(100)));
    let (scraped, scrape) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = scraped.send(runtime.block_on(scraper.ask(PATIENCE)));
    });
    assert!(scrape.recv_timeout(Duration::from_millis(50)).is_err(), "the scrape waits for the hook");
    let outcome = hooks_runtime
        .block_on(async { tokio::task::spawn_blocking(move || scrape.recv_timeout(PATIENCE)).await });
    text(outcome.unwrap().unwrap());
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_error_display_fails_no_scrape() {
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
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        outcomes.push(scraper.ask(PATIENCE).await.is_ok());
    }
    assert_eq!(outcomes, [true, true]);
}

/// Regression: hooks ran on the runtime of the failed start, which was gone.
#[test]
fn hooks_run_after_a_failed_start() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let hook = Hook::new("counted".to_owned(), move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok(()) }
    });
    let contents = Contents { hooks: vec![hook], ..Contents::default() };
    let scraper = Scraper::new(Work::new(contents, Arc::new(Telemetry::new())), PATIENCE);
    let failed = || Err::<std::future::Pending<()>, _>(io::Error::other("no thread"));
    assert!(scraper.start("test".to_owned(), failed).is_err());
    scraper.start("test".to_owned(), || Ok(std::future::pending())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(runtime.block_on(scraper.ask(PATIENCE)).is_ok());
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[test]
fn selects_registries_by_name() {
    let names = ["a", "b", "c"];
    let sources = names
        .map(|name| Source { name: name.to_owned(), origin: SourceOrigin::Registry(Registry::new()) })
        .into_iter()
        .collect();
    let contents = Contents { sources, self_metrics: true, ..Contents::default() };
    let scraper = Scraper::new(Work::new(contents, Arc::new(Telemetry::new())), PATIENCE);
    let select = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        scraper.select(&names)
    };
    let table: HashMap<&[&str], Option<Selection>> = HashMap::from([
        (&[][..], Some(Selection::All)),
        (&["b"][..], Some(Selection::Some(vec![1]))),
        (&["c", "a", "c"][..], Some(Selection::Some(vec![0, 2]))),
        (&["c", "b", "a"][..], Some(Selection::All)),
        (&["a", "x"][..], None),
    ]);
    for (names, expected) in table {
        assert_eq!(select(names), expected, "{names:?}");
    }
}

fn registry(series: usize) -> Registry {
    let registry = Registry::new();
    let counters = prometheus::IntCounterVec::new(prometheus::Opts::new("many", "help"), &["n"]).unwrap();
    for n in 0..series {
        counters.with_label_values(&[&n.to_string()]).inc();
    }
    registry.register(Box::new(counters)).unwrap();
    registry
}

/// A waiter for the series of this query.
fn waiter(query: &str) -> ((Selection, Recipient), oneshot::Receiver<ScrapeResult>) {
    let names = crate::http::query::Query::parse(query).unwrap().names;
    let representation = Representation { format: FALLBACK, coding: Coding::Identity, names };
    let (reply, answer) = oneshot::channel();
    ((Selection::All, Recipient { representation, reply }), answer)
}

/// Prometheus waited until the parts of a hundred other clients were encoded, too.
#[test]
fn only_the_last_representation_is_sent_on_the_runtime() {
    let sources = vec![Source { name: "one".to_owned(), origin: SourceOrigin::Registry(registry(1)) }];
    let work = Work::new(Contents { sources, ..Contents::default() }, Arc::new(Telemetry::new()));
    let ((part, mut of_part), (whole, mut of_whole)) = (waiter("name[]=many"), waiter(""));
    let gathered = work.gather(&Selection::All, Vec::new());
    let replies = work.expose(gathered, vec![part, whole], &Deliveries::new().receipt(1), &|| false);
    assert!(of_whole.try_recv().is_ok());
    assert!(of_part.try_recv().is_err());
    replies.send();
    assert!(of_part.try_recv().is_ok());
}

/// Each selection that the budget refused kept its families until all were encoded.
#[test]
fn refused_selections_keep_no_families() {
    let sources = vec![Source { name: "one".to_owned(), origin: SourceOrigin::Registry(registry(2000)) }];
    let contents = Contents { sources, max_unsent: Some(0), ..Contents::default() };
    let work = Work::new(contents, Arc::new(Telemetry::new()));
    let ((whole, _of_whole), (part, mut of_part)) = (waiter(""), waiter("name[]=many"));
    let gathered = work.gather(&Selection::All, Vec::new());
    let replies = work.expose(gathered, vec![whole, part], &Deliveries::new().receipt(1), &|| false);
    assert!(replies.send().is_empty());
    assert_eq!(of_part.try_recv().unwrap().unwrap_err(), ScrapeError::Unsent);
}

/// Parts of many clients delayed the scrapes of Prometheus by as long as all of them took.
#[test]
fn parts_that_take_long_are_refused_while_the_whole_waits() {
    let sources = vec![Source { name: "one".to_owned(), origin: SourceOrigin::Registry(registry(1)) }];
    let mut work = Work::new(Contents { sources, ..Contents::default() }, Arc::new(Telemetry::new()));
    work.time_of_parts = Duration::ZERO;
    // The answers to the question whether the whole waits, which comes before each part but the first.
    for (answers, served) in [(&[false, false], 4), (&[true, true], 2), (&[true, false], 3)] {
        let queries = ["", "name[]=many", "name[]=many&name[]=a", "name[]=many&name[]=b"];
        let (recipients, replies): (Vec<_>, Vec<_>) = queries.into_iter().map(waiter).unzip();
        let gathered = work.gather(&Selection::All, Vec::new());
        let asked = AtomicUsize::new(0);
        let whole_waits = || answers[asked.fetch_add(1, Ordering::Relaxed)];
        work.expose(gathered, recipients, &Deliveries::new().receipt(1), &whole_waits).send();
        let outcomes = replies.into_iter().map(|mut reply| reply.try_recv().unwrap());
        let (ok, refused): (Vec<_>, Vec<_>) = outcomes.partition(|outcome| outcome.is_ok());
        assert_eq!(ok.len(), served);
        for outcome in ok {
            assert!(text(outcome).contains("many{"));
        }
        for outcome in refused {
            assert_eq!(outcome.unwrap_err(), ScrapeError::Parts);
        }
    }
}
