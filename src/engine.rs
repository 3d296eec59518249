//! The thread that drives the server's runtime and gathers, and its standby.
//!
//! Gathering a few hundred series takes less time than waking another thread. So the driver leaves its runtime,
//! gathers, and enters the runtime again. tokio lets any thread drive a current-thread runtime, one at a time
//! ([`Runtime::block_on`]). This allows for a second thread, the standby:
//!
//! * It runs a gather that is expected to be long, while the driver does the I/O.
//! * Once a second it checks for a gather that began before its previous check and has not returned. Then the standby
//!   drives the runtime: accepting, health checks, deadlines and 503s go on. The thread that returns from the gather
//!   becomes the standby.
//!
//! Neither thread is in the host's blocking pool: a collector that hangs there keeps `#[tokio::main]` from returning.

mod expected;
mod handle;

use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::{self, Runtime};
use tokio_util::sync::CancellationToken;

use crate::util::throttle::Throttle;
use crate::util::unwind::{caught, caught_in_polls};

pub(crate) use handle::EngineHandle;

use expected::Expected;
use handle::{End, OF_ENGINE, ReportEnd};

/// How often the standby checks on the driver, and measures the host's scheduling delay.
const TICK: Duration = Duration::from_secs(1);

/// The size of a block that is large to glibc, which is 1 KiB and more. From 64 KiB on, freeing it would return memory
/// to the system.
const LARGE: usize = 4096;

/// Work of the engine's threads, one gather at a time.
pub(crate) trait Gather: Send + Sync + 'static {
    /// A requested gather.
    type Job: Send + 'static;
    /// The result of a gather, to be delivered.
    type Done: Send + 'static;

    /// Waits for the next requested gather, on the engine's runtime. Never completes while one is running.
    fn next(self: &Arc<Self>) -> impl Future<Output = Self::Job>;

    /// Returns the parts that a job gathers. The engine predicts the time of each part separately.
    fn parts(&self, job: &Self::Job) -> Vec<usize>;

    /// Gathers outside the engine's runtime. May hang forever.
    fn gather(&self, job: Self::Job) -> Self::Done;

    /// Delivers the result to the remaining waiters, on any thread. Returns values that only need to be dropped.
    fn deliver(&self, done: Self::Done) -> impl Send + 'static;

    /// Cancels the running gather after a panic of another method.
    fn abandon(&self);

    /// Runs once a second, on the standby's thread.
    fn tick(&self);

    /// Runs when the engine ends.
    fn end(&self);
}

/// A runtime and its two threads.
struct Engine<G: Gather> {
    /// The name of both threads.
    name: String,
    gather: Arc<G>,
    state: Mutex<EngineState<G::Job>>,
    /// Notifies the standby of a job, or of the end.
    changed: Condvar,
    /// Cancelled when the server's future has ended.
    ended: CancellationToken,
    no_standby: Throttle,
}

struct EngineState<J> {
    /// `None` once the engine has ended. A thread that gathers holds no reference.
    runtime: Option<Arc<Runtime>>,
    /// How many times another thread has become the driver.
    takeovers: u64,
    ticks: u64,
    /// The tick at which the driver left the runtime to gather, while it gathers.
    away_since: Option<u64>,
    standby: Standby<J>,
    expected: Expected,
    /// Dropped once the engine has ended and its runtime is gone.
    ending: Option<ReportEnd>,
}

enum Standby<J> {
    /// The second thread could not be started.
    Absent,
    Idle,
    /// The standby must run this job.
    Handed(J),
    /// The standby gathers. After a takeover, this is the former driver, which has not returned from its gather.
    Gathering,
}

/// Starts an engine whose threads have this name. `main` runs on this thread, within the runtime's context, and
/// returns a future. The runtime runs that future, and the engine ends with it.
///
/// # Errors
///
/// Returns the error of `main`. Returns the system's error if no thread or runtime can be created (descriptors,
/// memory). A standby that cannot be started is only logged.
pub(crate) fn start<G, F>(
    name: String,
    gather: Arc<G>,
    main: impl FnOnce() -> io::Result<F>,
) -> io::Result<EngineHandle>
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
        // Boxed, because tokio moves a task's future several times, and each move takes that much of the stack.
        Ok(future) => Box::pin(future),
        Err(error) => {
            // Dropping a runtime within the context of another one panics.
            runtime.shutdown_background();
            return Err(error);
        }
    };
    let (ended, end) = (CancellationToken::new(), Arc::new(End::default()));
    let handle = runtime.handle().clone();
    let guard = ended.clone().drop_guard();
    drop(runtime.spawn(async move {
        let _ended = guard;
        future.await;
    }));
    let engine = Arc::new(Engine {
        name,
        gather,
        state: Mutex::new(EngineState {
            runtime: Some(Arc::new(runtime)),
            takeovers: 0,
            ticks: 0,
            away_since: None,
            standby: Standby::Absent,
            expected: Expected::default(),
            ending: Some(ReportEnd(Arc::clone(&end))),
        }),
        changed: Condvar::new(),
        ended,
        no_standby: Throttle::default(),
    });
    let id = Arc::as_ptr(&engine).addr();
    if let Err(error) = engine.spawn(Role::Driver) {
        // Without the end of the gather, because a handler starts another engine for it at its next call.
        engine.shut_down();
        return Err(error);
    }
    // If this fails, the driver tries again and logs the error. The caller may hold a lock.
    let _ = engine.start_standby();
    Ok(EngineHandle { runtime: handle, end, id })
}

/// The current role of an engine's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Driver,
    Standby,
}

impl<G: Gather> Engine<G> {
    fn spawn(self: &Arc<Self>, role: Role) -> io::Result<()> {
        let engine = Arc::clone(self);
        let life = move || {
            OF_ENGINE.set(Arc::as_ptr(&engine).addr());
            let mut role = Some(role);
            while let Some(now) = role {
                role = match now {
                    // Panics of foreign code are caught deeper. A panic of our own code ends the server, so that
                    // nothing waits forever.
                    Role::Driver => caught(|| engine.drive()).unwrap_or_else(|| {
                        engine.end();
                        None
                    }),
                    Role::Standby => caught(|| engine.stand_by()).unwrap_or_else(|| {
                        engine.state.lock().standby = Standby::Absent;
                        engine.abandon();
                        None
                    }),
                };
            }
        };
        thread::Builder::new().name(self.name.clone()).spawn(life).map(drop)
    }

    /// Starts the standby if there is none.
    fn start_standby(self: &Arc<Self>) -> io::Result<()> {
        let mut state = self.state.lock();
        if matches!(state.standby, Standby::Absent) {
            // Under the lock, so that the state is correct before the standby runs.
            self.spawn(Role::Standby)?;
            state.standby = Standby::Idle;
        }
        Ok(())
    }

    /// Starts the standby if there is none, at most one attempt a minute. Logs its error.
    fn see_to_a_standby(self: &Arc<Self>) {
        if !matches!(self.state.lock().standby, Standby::Absent) || !self.no_standby.allows() {
            return;
        }
        if let Err(error) = self.start_standby() {
            // A panic of the subscriber would end the driver and the server.
            caught(|| {
                tracing::warn!(
                    %error,
                    "failed to spawn the standby thread; a hanging collector will block the metrics server"
                );
            });
        }
    }

    /// Drives the runtime until the engine ends or the standby takes over.
    fn drive(self: &Arc<Self>) -> Option<Role> {
        self.see_to_a_standby();
        let takeovers_before = self.state.lock().takeovers;
        let mut done = None;
        loop {
            let job = match self.drive_until_a_gather(done.take()) {
                Ok(Some(job)) => job,
                Ok(None) => {
                    self.end();
                    return None;
                }
                Err(Panicked) => {
                    // tokio itself has panicked and cannot poll. The next attempt may panic too, so wait.
                    thread::sleep(TICK);
                    continue;
                }
            };
            self.see_to_a_standby();
            let Some(job) = self.leave(job) else { continue };
            let gathered = self.gather(job);
            if self.state.lock().returned(takeovers_before) {
                done = gathered;
            } else {
                self.deliver(gathered);
                return Some(Role::Standby);
            }
        }
    }

    /// Delivers a result first, then does the I/O until the next gather. Within the runtime, the delivery needs no
    /// wake-up.
    fn drive_until_a_gather(&self, done: Option<G::Done>) -> Result<Option<G::Job>, Panicked> {
        let Some(runtime) = self.state.lock().runtime.clone() else { return Ok(None) };
        let next = async {
            if let Some(done) = done {
                let rest = self.try_to_deliver(done);
                // Write the responses before the families are dropped, which no client waits for.
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

    /// Hands a job to the standby if it is expected to be long and the standby is idle. Otherwise returns it for the
    /// driver.
    fn leave(&self, job: G::Job) -> Option<G::Job> {
        let parts = self.gather.parts(&job);
        let mut state = self.state.lock();
        if state.expected.is_long(&parts) && matches!(state.standby, Standby::Idle) {
            state.standby = Standby::Handed(job);
            drop(state);
            self.changed.notify_one();
            return None;
        }
        state.away_since = Some(state.ticks);
        Some(job)
    }

    /// Checks on the driver and runs jobs handed over, until the engine ends or this thread must drive.
    fn stand_by(&self) -> Option<Role> {
        let mut next_tick = Instant::now() + TICK;
        let mut state = self.state.lock();
        loop {
            state.runtime.as_ref()?; // `None` at the end
            if let Some(job) = state.standby.take_job() {
                drop(state);
                let gathered = self.gather(job);
                // Before the delivery, because the driver may request the next gather right after it.
                self.state.lock().standby = Standby::Idle;
                self.deliver(gathered);
                state = self.state.lock();
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
                state = self.state.lock();
                continue;
            }
            self.changed.wait_for(&mut state, next_tick - now);
        }
    }

    /// Runs a gather. Returns `None` if it panics.
    fn gather(&self, job: G::Job) -> Option<G::Done> {
        let (parts, began) = (self.gather.parts(&job), Instant::now());
        // Collectors have their own catch. This one covers other foreign code: errors that are printed or dropped,
        // and the log.
        let gathered = caught(|| self.gather.gather(job));
        self.state.lock().expected.observe(&parts, began.elapsed());
        if gathered.is_none() {
            self.abandon();
        }
        gathered
    }

    fn deliver(&self, gathered: Option<G::Done>) {
        let Some(done) = gathered else { return };
        let rest = self.try_to_deliver(done);
        // The driver may already have begun the next gather. A panic here must not cancel that one.
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
        // This logs, and the log may be the code that panicked.
        caught(|| self.gather.abandon());
    }

    fn end(&self) {
        self.shut_down();
        caught(|| self.gather.end());
        // Dropped without the lock.
        let _ending = self.state.lock().ending.take();
    }

    fn shut_down(&self) {
        let runtime = self.state.lock().runtime.take();
        self.changed.notify_one();
        // Only the driver may hold another reference. The shutdown does not wait for blocking tasks.
        if let Some(runtime) = runtime.and_then(Arc::into_inner) {
            runtime.shutdown_background();
        }
    }
}

fn drop_rest<R>(rest: R) {
    caught(|| drop(rest));
    // glibc joins freed small blocks with their neighbours at the next request for a large block
    // (`malloc_consolidate`). This is that request. Otherwise the next scrape makes it when it reads its head, and
    // its client waits while the blocks come back into the cache.
    drop(black_box(Vec::<u8>::with_capacity(LARGE)));
}

struct Panicked;

impl<J> EngineState<J> {
    /// Records that a driver returns from its gather. Returns whether it is still the driver. If not, it becomes the
    /// standby.
    fn returned(&mut self, takeovers_before: u64) -> bool {
        let drives = self.takeovers == takeovers_before;
        if drives {
            self.away_since = None;
        } else {
            self.standby = Standby::Idle;
        }
        drives
    }

    /// Returns whether the standby must drive: the driver left before the last tick and has not returned.
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
