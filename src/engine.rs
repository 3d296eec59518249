//! The thread that drives the server's runtime and leaves it to gather, and its standby.
//!
//! Gathering a few hundred series takes less time than waking another thread for it. So the thread that does the I/O leaves
//! its runtime, gathers on the spot, and enters the runtime again. tokio lets any thread drive a current-thread runtime, one
//! at a time ([`Runtime::block_on`]), so a second thread stands by:
//!
//! * It takes over a gather that is expected to be long, and the I/O goes on meanwhile.
//! * Once a second it looks whether a gather that began before its last look has not come back. Then it drives the runtime:
//!   accepting, health checks, deadlines and 503s go on. The thread that returns from the gather becomes the standby.
//!
//! Neither is on the host's blocking pool: a collector that hangs there keeps `#[tokio::main]` from ever returning.

mod expected;
mod running;

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::runtime::{self, Runtime};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::util::throttle::Throttle;
use crate::util::unwind::{caught, caught_in_polls};

pub(crate) use running::Running;

use expected::Expected;
use running::OF_ENGINE;

/// How often the standby looks after the driver, and measures the host's scheduling delay.
const TICK: Duration = Duration::from_secs(1);

/// Bytes that are a large block to glibc, 1 KiB and more, and no reason to give memory back to the system, 64 KiB and more.
const LARGE: usize = 4096;

/// What the threads gather, one gather at a time.
pub(crate) trait Gather: Send + Sync + 'static {
    /// A gather that is wanted.
    type Job: Send + 'static;
    /// What came of it, to be delivered.
    type Done: Send + 'static;

    /// Waits for the next gather that is wanted, on the engine's runtime. It is none while one is under way.
    fn next(self: &Arc<Self>) -> impl Future<Output = Self::Job>;

    /// The parts of what a job gathers. How long it may take is expected of each by itself.
    fn parts(&self, job: &Self::Job) -> Vec<usize>;

    /// Gathers, outside of any runtime. It may take for ever.
    fn gather(&self, job: Self::Job) -> Self::Done;

    /// Gives what was gathered to those who wait for it, on any thread; returns what need only be dropped.
    fn deliver(&self, done: Self::Done) -> impl Send + 'static;

    /// Ends the gather that is under way: one of the above has panicked.
    fn abandon(&self);

    /// Is called once a second, on the standby's thread.
    fn tick(&self);

    /// Is called when the engine ends.
    fn end(&self);
}

/// A runtime with its two threads.
struct Engine<G: Gather> {
    /// Of both threads.
    name: String,
    gather: Arc<G>,
    state: Mutex<State<G::Job>>,
    /// Tells the standby of a job, or of the end.
    changed: Condvar,
    /// Cancelled when the server's future has ended.
    ended: CancellationToken,
    no_standby: Throttle,
}

struct State<J> {
    /// None once the engine has ended. A thread that gathers holds none.
    runtime: Option<Arc<Runtime>>,
    /// How often another thread has begun to drive.
    takeovers: u64,
    ticks: u64,
    /// The tick after which the driver left the runtime to gather, if it is away.
    away_since: Option<u64>,
    standby: Standby<J>,
    expected: Expected,
    last: Option<Last>,
}

enum Standby<J> {
    /// There could be no second thread.
    Absent,
    Idle,
    /// It is to gather this.
    Handed(J),
    /// It gathers; or it is the driver that was, and has not come back from its gather.
    Gathering,
}

/// Dropped once the engine has ended and its runtime is gone.
struct Last {
    _stopped: DropGuard,
    _sender: Sender<Infallible>,
}

/// Starts an engine, whose threads have this name, and which ends with the future that `main` gives: a future to be spawned on
/// the runtime. `main` is called within the context of the runtime, on this thread.
///
/// # Errors
///
/// Those of `main`, and the system's if there can be no thread or no runtime (descriptors, memory). A standby that cannot be
/// had is logged.
pub(crate) fn start<G, F>(
    name: String,
    gather: Arc<G>,
    main: impl FnOnce() -> io::Result<F>,
) -> io::Result<Running>
where
    G: Gather,
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let future = {
        let _context = runtime.enter();
        main()
    };
    let future = match future {
        Ok(future) => future,
        Err(error) => {
            // Dropping a runtime within another one's context panics.
            runtime.shutdown_background();
            return Err(error);
        }
    };
    let (ended, stopped, (sender, end)) =
        (CancellationToken::new(), CancellationToken::new(), mpsc::channel());
    let handle = runtime.handle().clone();
    let guard = ended.clone().drop_guard();
    drop(runtime.spawn(async move {
        let _ended = guard;
        future.await;
    }));
    let engine = Arc::new(Engine {
        name,
        gather,
        state: Mutex::new(State {
            runtime: Some(Arc::new(runtime)),
            takeovers: 0,
            ticks: 0,
            away_since: None,
            standby: Standby::Absent,
            expected: Expected::default(),
            last: Some(Last { _stopped: stopped.clone().drop_guard(), _sender: sender }),
        }),
        changed: Condvar::new(),
        ended,
        no_standby: Throttle::default(),
    });
    let id = Arc::as_ptr(&engine).addr();
    if let Err(error) = engine.spawn(Role::Driver) {
        engine.end();
        return Err(error);
    }
    engine.see_to_a_standby();
    Ok(Running { runtime: handle, stopped, end: Mutex::new(end), id })
}

/// What a thread of an engine does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Driver,
    Standby,
}

impl<G: Gather> Engine<G> {
    fn state(&self) -> MutexGuard<'_, State<G::Job>> {
        self.state.lock()
    }

    fn spawn(self: &Arc<Self>, role: Role) -> io::Result<()> {
        let engine = Arc::clone(self);
        let life = move || {
            OF_ENGINE.set(Arc::as_ptr(&engine).addr());
            let mut role = Some(role);
            while let Some(now) = role {
                role = match now {
                    // What is not ours is caught within. A panic of ours ends the server, so that nobody waits for ever.
                    Role::Driver => caught(|| engine.drive()).unwrap_or_else(|| {
                        engine.end();
                        None
                    }),
                    Role::Standby => caught(|| engine.stand_by()).unwrap_or_else(|| {
                        engine.state().standby = Standby::Absent;
                        engine.abandon();
                        None
                    }),
                };
            }
        };
        thread::Builder::new().name(self.name.clone()).spawn(life).map(drop)
    }

    /// Starts the standby, if there is none; it is tried again once a minute.
    fn see_to_a_standby(self: &Arc<Self>) {
        let mut state = self.state();
        if !matches!(state.standby, Standby::Absent) || !self.no_standby.allows() {
            return;
        }
        // Under the lock, so that it is idle from the beginning.
        let spawned = self.spawn(Role::Standby);
        if spawned.is_ok() {
            state.standby = Standby::Idle;
        }
        drop(state);
        if let Err(error) = spawned {
            // A panic of the subscriber would end the driver, and with it the server.
            caught(|| {
                tracing::warn!(
                    %error,
                    "cannot start the standby thread; a collector that hangs will hang the metrics server"
                );
            });
        }
    }

    /// Drives the runtime until the end, or until the standby has taken over.
    fn drive(self: &Arc<Self>) -> Option<Role> {
        let reign = self.state().takeovers;
        let mut done = None;
        loop {
            let job = match self.drive_until_a_gather(done.take()) {
                Ok(Some(job)) => job,
                Ok(None) => {
                    self.end();
                    return None;
                }
                Err(Panicked) => {
                    // tokio itself: it cannot poll, which it may not be able to next time either.
                    thread::sleep(TICK);
                    continue;
                }
            };
            self.see_to_a_standby();
            let Some(job) = self.leave(job) else { continue };
            let gathered = self.gather(job);
            if self.state().returned(reign) {
                done = gathered;
            } else {
                self.deliver(gathered);
                return Some(Role::Standby);
            }
        }
    }

    /// Does the I/O, and first delivers what was gathered: within the runtime, so that nothing has to wake it.
    fn drive_until_a_gather(&self, done: Option<G::Done>) -> Result<Option<G::Job>, Panicked> {
        let Some(runtime) = self.state().runtime.clone() else { return Ok(None) };
        let next = async {
            if let Some(done) = done {
                let rest = self.try_to_deliver(done);
                // The answers are written before the families are dropped, for which nobody need wait.
                tokio::task::yield_now().await;
                drop_rest(rest);
            }
            let next = async {
                loop {
                    if let Some(job) = caught_in_polls(self.gather.next()).await {
                        break job;
                    }
                    self.abandon();
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                () = self.ended.cancelled() => None,
                job = next => Some(job),
            }
        };
        caught(|| runtime.block_on(next)).ok_or_else(|| {
            self.abandon();
            Panicked
        })
    }

    /// Gives a job that is expected to be long to the standby, if that is there; else the job is the driver's own.
    fn leave(&self, job: G::Job) -> Option<G::Job> {
        let parts = self.gather.parts(&job);
        let mut state = self.state();
        if state.expected.is_long(&parts) && matches!(state.standby, Standby::Idle) {
            state.standby = Standby::Handed(job);
            drop(state);
            self.changed.notify_one();
            return None;
        }
        state.away_since = Some(state.ticks);
        Some(job)
    }

    /// Looks after the driver, and gathers what is handed over, until the end or until it has to drive.
    fn stand_by(&self) -> Option<Role> {
        let mut next_tick = Instant::now() + TICK;
        let mut state = self.state();
        loop {
            state.runtime.as_ref()?; // none at the end
            if let Some(job) = state.standby.take_job() {
                drop(state);
                let gathered = self.gather(job);
                // Before the delivery, after which the next is asked for.
                self.state().standby = Standby::Idle;
                self.deliver(gathered);
                state = self.state();
                continue;
            }
            let now = Instant::now();
            if now >= next_tick {
                next_tick = now + TICK;
                if state.take_over() {
                    return Some(Role::Driver);
                }
                drop(state);
                caught(|| self.gather.tick());
                state = self.state();
                continue;
            }
            self.changed.wait_for(&mut state, next_tick - now);
        }
    }

    /// None if it has panicked.
    fn gather(&self, job: G::Job) -> Option<G::Done> {
        let (parts, began) = (self.gather.parts(&job), Instant::now());
        // Collectors have a catch of their own. This one is for what else is not ours: errors that print and drop
        // themselves, the log.
        let gathered = caught(|| self.gather.gather(job));
        self.state().expected.observe(&parts, began.elapsed());
        if gathered.is_none() {
            self.abandon();
        }
        gathered
    }

    fn deliver(&self, gathered: Option<G::Done>) {
        let Some(done) = gathered else { return };
        let rest = self.try_to_deliver(done);
        // By now the driver may have begun the next gather, which must not be abandoned for a panic here.
        drop_rest(rest);
    }

    fn try_to_deliver(&self, done: G::Done) -> Option<impl Send> {
        let rest = caught(|| self.gather.deliver(done));
        if rest.is_none() {
            self.abandon();
        }
        rest
    }

    fn abandon(&self) {
        // It logs, and what has panicked may be the log.
        caught(|| self.gather.abandon());
    }

    fn end(&self) {
        let (runtime, last) = {
            let mut state = self.state();
            (state.runtime.take(), state.last.take())
        };
        self.changed.notify_one();
        // Only the driver has had another. Whatever blocks in it is not waited for.
        if let Some(runtime) = runtime.and_then(Arc::into_inner) {
            runtime.shutdown_background();
        }
        caught(|| self.gather.end());
        drop(last);
    }
}

fn drop_rest<R>(rest: R) {
    caught(|| drop(rest));
    // glibc joins freed small blocks with their neighbours when a large block is next asked for (`malloc_consolidate`). Without
    // this the next scrape asks for it, to read its head into, and its client waits while those blocks come back into the cache.
    drop(black_box(Vec::<u8>::with_capacity(LARGE)));
}

struct Panicked;

impl<J> State<J> {
    /// The driver returns from its gather. Whether it is the driver still; if not, it is the standby.
    fn returned(&mut self, reign: u64) -> bool {
        let drives = self.takeovers == reign;
        if drives {
            self.away_since = None;
        } else {
            self.standby = Standby::Idle;
        }
        drives
    }

    /// Whether the standby has to drive: the driver left before the last tick, and is not back.
    fn take_over(&mut self) -> bool {
        let overdue = self.away_since.is_some_and(|since| since < self.ticks);
        self.ticks += 1;
        if overdue {
            self.away_since = None;
            self.takeovers += 1;
            self.standby = Standby::Gathering;
        }
        overdue
    }
}

impl<J> Standby<J> {
    fn take_job(&mut self) -> Option<J> {
        match std::mem::replace(self, Standby::Gathering) {
            Standby::Handed(job) => Some(job),
            other => {
                *self = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
