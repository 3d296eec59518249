//! Closures as gathers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::{Notify, mpsc as channel, oneshot};

use super::expected::SHORT;
use super::*;

/// Far beyond whatever a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

type Work = Box<dyn FnOnce() + Send>;

/// Runs closures as gathers, and tells on which thread.
struct Closures {
    wanted: tokio::sync::Mutex<channel::UnboundedReceiver<(Work, oneshot::Sender<thread::ThreadId>)>>,
    is_free: Notify,
    ticks: AtomicU64,
    /// How often more `next` panics.
    bad_nexts: AtomicU64,
    /// Of how many deliveries more the rest panics when it is dropped.
    bad_rests: AtomicU64,
    abandoned: AtomicU64,
}

struct Rest {
    is_bad: bool,
}

impl Drop for Rest {
    fn drop(&mut self) {
        assert!(!self.is_bad, "as it must");
    }
}

/// Counts down; false at zero.
fn take_one(count: &AtomicU64) -> bool {
    count.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1)).is_ok()
}

impl Gather for Closures {
    type Job = (Work, oneshot::Sender<thread::ThreadId>);
    type Done = (oneshot::Sender<thread::ThreadId>, thread::ThreadId);

    async fn next(self: &Arc<Self>) -> Self::Job {
        assert!(!take_one(&self.bad_nexts), "as it must");
        self.is_free.notified().await;
        let mut wanted = self.wanted.lock().await;
        match wanted.recv().await {
            Some(job) => job,
            None => std::future::pending().await,
        }
    }

    fn parts(&self, _job: &Self::Job) -> Vec<usize> {
        vec![0]
    }

    fn gather(&self, (work, reply): Self::Job) -> Self::Done {
        assert!(runtime::Handle::try_current().is_err(), "outside of the runtime");
        work();
        (reply, thread::current().id())
    }

    fn deliver(&self, (reply, on): Self::Done) -> impl Send + 'static {
        let _ = reply.send(on);
        self.is_free.notify_one();
        Rest { is_bad: take_one(&self.bad_rests) }
    }

    fn abandon(&self) {
        self.abandoned.fetch_add(1, Relaxed);
        self.is_free.notify_one();
    }

    fn tick(&self) {
        self.ticks.fetch_add(1, Relaxed);
    }

    fn end(&self) {}
}

struct Served {
    want: channel::UnboundedSender<(Work, oneshot::Sender<thread::ThreadId>)>,
    running: Running,
    stop: CancellationToken,
    closures: Arc<Closures>,
}

fn serve() -> Served {
    let (want, wanted) = channel::unbounded_channel();
    let is_free = Notify::new();
    is_free.notify_one();
    let closures = Arc::new(Closures {
        wanted: tokio::sync::Mutex::new(wanted),
        is_free,
        ticks: AtomicU64::new(0),
        bad_nexts: AtomicU64::new(0),
        bad_rests: AtomicU64::new(0),
        abandoned: AtomicU64::new(0),
    });
    let stop = CancellationToken::new();
    let until = stop.clone();
    let running =
        start("test".to_owned(), Arc::clone(&closures), || Ok(async move { until.cancelled().await }))
            .unwrap();
    Served { want, running, stop, closures }
}

impl Served {
    fn want(&self, work: impl FnOnce() + Send + 'static) -> oneshot::Receiver<thread::ThreadId> {
        let (reply, replied) = oneshot::channel();
        self.want.send((Box::new(work), reply)).ok().unwrap();
        replied
    }

    fn gather(&self, work: impl FnOnce() + Send + 'static) -> thread::ThreadId {
        self.want(work).blocking_recv().unwrap()
    }

    /// Which thread does the I/O, as soon as one does.
    fn driver(&self) -> thread::ThreadId {
        let (tell, told) = mpsc::channel();
        self.running.runtime().spawn(async move { tell.send(thread::current().id()).unwrap() });
        told.recv_timeout(PATIENCE).unwrap()
    }
}

#[test]
fn gathers_what_is_short_on_the_thread_that_does_the_io() {
    let served = serve();
    let driver = served.driver();
    assert_ne!(served.gather(|| {}), driver, "the first is an unknown one");
    // A busy machine may make some of these long.
    let gatherers: Vec<_> = (0..100).map(|_| served.gather(|| {})).collect();
    assert!(gatherers.contains(&driver), "{gatherers:?}");
    assert_eq!(served.driver(), driver);
}

#[test]
fn hands_what_was_long_to_the_standby() {
    let served = serve();
    let driver = served.driver();
    for round in 0..5 {
        let (release, released) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let replied = served.want(move || {
            began.send(()).unwrap();
            released.recv().unwrap_or_default();
        });
        // Only now: on a busy machine the standby may begin when all of this is over, and be quick.
        begun.recv_timeout(PATIENCE).unwrap();
        assert_eq!(served.driver(), driver, "the I/O goes on in round {round}");
        thread::sleep(2 * SHORT);
        drop(release);
        assert_ne!(replied.blocking_recv().unwrap(), driver);
    }
}

#[test]
fn takes_the_io_over_from_a_gather_that_hangs_and_gets_its_thread_back() {
    let served = serve();
    let first = served.driver();
    // Until the driver gathers itself.
    let hanging = loop {
        while served.gather(|| {}) != first {}
        let (release, released) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let replied = served.want(move || {
            began.send(thread::current().id()).unwrap();
            released.recv().unwrap_or_default();
        });
        if begun.recv_timeout(PATIENCE).unwrap() == first {
            break (replied, release);
        }
        drop(release);
        replied.blocking_recv().unwrap();
    };
    let (replied, release) = hanging;
    let second = served.driver();
    assert_ne!(second, first, "the standby drives");
    drop(release);
    assert_eq!(replied.blocking_recv().unwrap(), first, "what it brings is delivered");
    // It hung for long, so the next is not the driver's own.
    assert_eq!(served.gather(|| {}), first, "it stands by");
    assert_eq!(served.driver(), second);
}

#[test]
fn ends_during_a_gather_that_hangs() {
    let served = serve();
    let (_release, released) = mpsc::channel::<()>();
    let (began, begun) = mpsc::channel();
    let _replied = served.want(move || {
        began.send(()).unwrap();
        released.recv().unwrap_or_default();
    });
    begun.recv_timeout(PATIENCE).unwrap();
    served.stop.cancel();
    assert!(served.running.join());
    assert!(served.running.stopped().is_cancelled());
}

#[test]
fn survives_a_gather_that_panics() {
    let served = serve();
    for _ in 0..20 {
        assert!(served.want(|| panic!("as it must")).blocking_recv().is_err());
    }
    served.gather(|| {});
}

/// With a pause of the I/O after each panic this would take minutes.
#[test]
fn survives_panics_while_it_waits_for_a_gather_and_goes_on_at_once() {
    let served = serve();
    served.gather(|| {});
    let driver = served.driver();
    served.closures.bad_nexts.store(300, Relaxed);
    while served.closures.bad_nexts.load(Relaxed) > 0 {
        served.gather(|| {});
    }
    served.gather(|| {});
    assert_eq!(served.driver(), driver);
    assert!(served.closures.abandoned.load(Relaxed) >= 300);
}

/// The driver may have begun the next gather by then, which was abandoned.
#[test]
fn abandons_no_gather_for_a_panic_after_the_delivery() {
    let served = serve();
    let long = || thread::sleep(2 * SHORT);
    let driver = served.driver();
    served.closures.bad_rests.store(5, Relaxed);
    for _ in 0..6 {
        // Each on the standby, which has dropped the rest of the one before.
        assert_ne!(served.gather(long), driver);
    }
    assert_eq!(served.closures.bad_rests.load(Relaxed), 0);
    assert_eq!(served.closures.abandoned.load(Relaxed), 0);
}

#[test]
fn does_not_wait_for_its_own_end() {
    let served = Arc::new(serve());
    let own = Arc::clone(&served);
    let (tell, told) = mpsc::channel();
    served.gather(move || tell.send(own.running.join()).unwrap());
    assert_eq!(told.recv_timeout(PATIENCE), Ok(false));
    served.stop.cancel();
    assert!(served.running.join());
}

#[test]
fn ticks_once_a_second() {
    let served = serve();
    let began = Instant::now();
    while served.closures.ticks.load(Relaxed) < 2 {
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(10));
    }
    assert!(began.elapsed() >= 2 * TICK - Duration::from_millis(100));
}

#[test]
fn reports_what_main_cannot_do() {
    let closures = serve().closures;
    let failed = |_: ()| io::Result::<std::future::Ready<()>>::Err(io::ErrorKind::AddrInUse.into());
    let error = start("test".to_owned(), Arc::clone(&closures), || failed(())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    // Also within a runtime, in which no other may be dropped.
    let host = runtime::Builder::new_current_thread().build().unwrap();
    host.block_on(async { assert!(start("test".to_owned(), closures, || failed(())).is_err()) });
}

#[test]
fn expects_what_was_long_to_be_long_again() {
    let ms = |times: u32| SHORT * times;
    let after = |seen: &[Duration]| {
        let mut expected = Expected::default();
        seen.iter().for_each(|took| expected.observe(&[0], *took));
        expected.is_long(&[0])
    };
    let short = ms(1) / 10;
    for (seen, expected) in [
        (vec![], true),
        (vec![short], false),
        (vec![short, ms(3)], true),
        ([vec![ms(3)], vec![short; 8]].concat(), true),
        ([vec![ms(3)], vec![short; 9]].concat(), false),
        ([vec![ms(5000)], vec![short; 60]].concat(), true),
        ([vec![ms(5000)], vec![short; 70]].concat(), false),
        ([ms(5000), short].repeat(10), true),
    ] {
        assert_eq!(after(&seen), expected, "{seen:?}");
    }
}

/// A client that asked for what is short made what is long be gathered on the thread that does the I/O.
#[test]
fn expects_of_each_part_what_it_took() {
    let ms = Duration::from_millis;
    let mut expected = Expected::default();
    expected.observe(&[0, 2], ms(100));
    (0..100).for_each(|_| expected.observe(&[2], ms(0)));
    assert!(!expected.is_long(&[2]), "it is short by itself");
    assert!(expected.is_long(&[0]) && expected.is_long(&[0, 2]));
    assert!(expected.is_long(&[1]) && expected.is_long(&[2, 7]), "unknown");
}

#[test]
fn takes_over_at_the_second_tick_and_not_before() {
    let mut state: State<()> = State {
        runtime: None,
        takeovers: 0,
        ticks: 0,
        away_since: None,
        standby: Standby::Idle,
        expected: Expected::default(),
        last: None,
    };
    assert!(!state.take_over());
    state.away_since = Some(state.ticks);
    assert!(!state.take_over(), "it left after the last tick");
    assert!(state.returned(0));
    state.away_since = Some(state.ticks);
    assert!(!state.take_over());
    assert!(state.take_over(), "it left before the last tick");
    assert!(!state.returned(0), "who returns is the standby");
    assert!(!state.take_over(), "the new driver is here");
}
