//! The engine with closures as gathers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;

use tokio::sync::{Notify, mpsc as channel, oneshot};

use super::expected::SHORT;
use super::*;

/// Far longer than any wait of a test.
const PATIENCE: Duration = Duration::from_secs(30);

type Work = Box<dyn FnOnce() + Send>;

/// Runs closures as gathers, and reports the thread of each.
struct Closures {
    wanted: tokio::sync::Mutex<channel::UnboundedReceiver<(Work, oneshot::Sender<thread::ThreadId>)>>,
    is_free: Notify,
    ticks: AtomicU64,
    /// How many further calls of `next` panic.
    bad_nexts: AtomicU64,
    /// How many further deliveries return a value that panics when dropped.
    bad_rests: AtomicU64,
    abandoned: AtomicU64,
}

struct Rest {
    is_bad: bool,
}

impl Drop for Rest {
    fn drop(&mut self) {
        assert!(!self.is_bad, "expected panic");
    }
}

/// Decrements the count. Returns false at zero.
fn take_one(count: &AtomicU64) -> bool {
    count.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1)).is_ok()
}

impl Gather for Closures {
    type Job = (Work, oneshot::Sender<thread::ThreadId>);
    type Done = (oneshot::Sender<thread::ThreadId>, thread::ThreadId);

    async fn next(self: &Arc<Self>) -> Self::Job {
        assert!(!take_one(&self.bad_nexts), "expected panic");
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
        assert!(runtime::Handle::try_current().is_err(), "a gather runs outside the runtime");
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
    running: EngineHandle,
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

    /// Returns the thread that does the I/O.
    fn driver(&self) -> thread::ThreadId {
        let (tell, told) = mpsc::channel();
        self.running.runtime().spawn(async move { tell.send(thread::current().id()).unwrap() });
        told.recv_timeout(PATIENCE).unwrap()
    }
}

/// The wakers of tasks that wait for the end belong to the host program's executor.
#[test]
fn a_waker_that_panics_does_not_hang_a_blocking_stop() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("expected panic");
        }
    }
    let served = Arc::new(serve());
    let mut stopped = std::pin::pin!(served.running.stopped().cancelled());
    let waker = Arc::new(Panics).into();
    assert!(stopped.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    served.stop.cancel();
    let (tell, told) = mpsc::channel();
    let joined = Arc::clone(&served);
    thread::spawn(move || tell.send(joined.running.join()));
    assert_eq!(told.recv_timeout(PATIENCE), Ok(true));
}

#[test]
fn runs_short_gathers_on_the_driver() {
    let served = serve();
    let driver = served.driver();
    assert_ne!(served.gather(|| {}), driver, "the first gather is unknown");
    // A busy machine may make some of these gathers long.
    let gatherers: Vec<_> = (0..100).map(|_| served.gather(|| {})).collect();
    assert!(gatherers.contains(&driver), "{gatherers:?}");
    assert_eq!(served.driver(), driver);
}

#[test]
fn hands_long_gathers_to_the_standby() {
    let served = serve();
    let driver = served.driver();
    for round in 0..5 {
        let (release, released) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let replied = served.want(move || {
            began.send(()).unwrap();
            released.recv().unwrap_or_default();
        });
        // Wait for the start: on a busy machine, the standby might begin only after the other steps, and be quick.
        begun.recv_timeout(PATIENCE).unwrap();
        assert_eq!(served.driver(), driver, "the I/O goes on in round {round}");
        thread::sleep(2 * SHORT);
        drop(release);
        assert_ne!(replied.blocking_recv().unwrap(), driver);
    }
}

#[test]
fn standby_takes_over_while_the_driver_hangs() {
    let served = serve();
    let first = served.driver();
    // Repeat until the driver itself gathers.
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
    assert_eq!(replied.blocking_recv().unwrap(), first, "its result is delivered");
    // The part hung for long, so the standby runs the next gather.
    assert_eq!(served.gather(|| {}), first, "it is the standby now");
    assert_eq!(served.driver(), second);
}

#[test]
fn ends_while_a_gather_hangs() {
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
        assert!(served.want(|| panic!("expected panic")).blocking_recv().is_err());
    }
    served.gather(|| {});
}

/// With a pause of the I/O after each panic, this test would take minutes.
#[test]
fn survives_panics_of_next_without_a_pause() {
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

/// The driver had begun the next gather by then, and the panic cancelled it.
#[test]
fn a_panic_after_delivery_cancels_no_other_gather() {
    let served = serve();
    let long = || thread::sleep(2 * SHORT);
    let driver = served.driver();
    served.closures.bad_rests.store(5, Relaxed);
    for _ in 0..6 {
        // Each gather runs on the standby, which has dropped the previous result.
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
    let began = Instant::now();
    let served = serve();
    while served.closures.ticks.load(Relaxed) < 2 {
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(10));
    }
    assert!(began.elapsed() >= 2 * TICK);
}

#[test]
fn returns_the_error_of_main() {
    let closures = serve().closures;
    let failed = |_: ()| io::Result::<std::future::Ready<()>>::Err(io::ErrorKind::AddrInUse.into());
    let error = start("test".to_owned(), Arc::clone(&closures), || failed(())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    // Also within a runtime's context, where dropping another runtime panics.
    let host = runtime::Builder::new_current_thread().build().unwrap();
    host.block_on(async { assert!(start("test".to_owned(), closures, || failed(())).is_err()) });
}

#[test]
fn expects_long_gathers_to_be_long_again() {
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

/// A scrape of a short part made the driver run a long part.
#[test]
fn predicts_each_part_separately() {
    let ms = Duration::from_millis;
    let mut expected = Expected::default();
    expected.observe(&[0, 2], ms(100));
    (0..100).for_each(|_| expected.observe(&[2], ms(0)));
    assert!(!expected.is_long(&[2]), "the part alone is short");
    assert!(expected.is_long(&[0]) && expected.is_long(&[0, 2]));
    assert!(expected.is_long(&[1]) && expected.is_long(&[2, 7]), "unknown");
}

#[test]
fn takes_over_at_the_second_tick() {
    let mut state: EngineState<()> = EngineState {
        runtime: None,
        takeovers: 0,
        ticks: 0,
        away_since: None,
        standby: Standby::Idle,
        expected: Expected::default(),
        ending: None,
    };
    assert!(!state.take_over());
    state.away_since = Some(state.ticks);
    assert!(!state.take_over(), "it left after the last tick");
    assert!(state.returned(0));
    state.away_since = Some(state.ticks);
    assert!(!state.take_over());
    assert!(state.take_over(), "it left before the last tick");
    assert!(!state.returned(0), "the returning thread becomes the standby");
    assert!(!state.take_over(), "the new driver has not left");
}
