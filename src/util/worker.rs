//! Threads that start when there is work, and end after an idle time.
//!
//! The host runtime's blocking pool is no alternative: a hanging job there keeps `#[tokio::main]` from returning.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::util::unwind::caught;

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs on detached threads, first in, first out. After a drop, the threads finish the remaining jobs and end.
pub(crate) struct Workers {
    pool: Arc<Pool>,
}

struct Pool {
    name: String,
    max_threads: usize,
    /// How long a thread waits for the next job.
    idle: Duration,
    queue: Mutex<Queue>,
    /// Notified of each job, and of the drop.
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Number of threads that wait for a job.
    idle: usize,
    closed: bool,
}

impl Workers {
    pub(crate) fn new(name: &str, max_threads: usize, idle: Duration) -> Self {
        let (queue, changed) = (Mutex::default(), Condvar::new());
        Workers { pool: Arc::new(Pool { name: name.to_owned(), max_threads, idle, queue, changed }) }
    }

    /// Runs the job on an idle thread, on a new one, or on the next free one. A panic ends only the job.
    ///
    /// # Errors
    ///
    /// Returns the system's error if the job needs a new thread and none can be started. The job is dropped.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut queue = self.pool.queue.lock();
        if queue.idle <= queue.jobs.len() && queue.threads < self.pool.max_threads {
            let pool = Arc::clone(&self.pool);
            thread::Builder::new().name(self.pool.name.to_owned()).spawn(move || pool.work())?;
            queue.threads += 1;
        }
        queue.jobs.push_back(Box::new(job));
        drop(queue);
        self.pool.changed.notify_one();
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.pool.queue.lock().closed = true;
        self.pool.changed.notify_all();
    }
}

impl Pool {
    fn work(&self) {
        while let Some(job) = self.next_job() {
            caught(job);
        }
    }

    /// Waits for the next job. `None` ends the thread.
    fn next_job(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                break;
            }
            queue.idle += 1;
            let waited = self.changed.wait_for(&mut queue, self.idle);
            queue.idle -= 1;
            if waited.timed_out() && queue.jobs.is_empty() {
                break;
            }
        }
        // Decremented under the same lock as the check of the queue, so the next job starts another thread.
        queue.threads -= 1;
        None
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("name", &self.pool.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::time::Instant;

    #[cfg(target_os = "linux")]
    use testing::alone::{CHILD, LARGE_STACKS, limit_memory, run_alone};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn workers(max_threads: usize, idle: Duration) -> Workers {
        Workers::new("test", max_threads, idle)
    }

    thread_local! {
        /// Dropped when the thread ends.
        static KEPT: RefCell<Option<mpsc::Sender<()>>> = const { RefCell::new(None) };
    }

    /// The job waited for the hanging one, even once there were threads again. A probe kept its permit meanwhile.
    #[test]
    #[cfg(target_os = "linux")]
    fn without_a_thread_a_job_is_refused() {
        run_alone("util::worker::tests::child_without_memory", "", &LARGE_STACKS);
    }

    /// Runs in a child process of the test above.
    #[test]
    #[cfg(target_os = "linux")]
    #[ignore = "run by another test"]
    fn child_without_memory() {
        if std::env::var(CHILD).is_err() {
            return;
        }
        let workers = workers(2, PATIENCE);
        let (_end, until) = mpsc::channel::<()>();
        workers.run(move || until.recv().unwrap_or_default()).unwrap();
        limit_memory(Some(100_000_000));
        let refused = workers.run(|| ());
        limit_memory(None);
        assert!(refused.is_err());
        let (ran, has_run) = mpsc::channel();
        workers.run(move || ran.send(()).unwrap()).unwrap();
        has_run.recv_timeout(PATIENCE).unwrap();
    }

    /// Runs a job that leaves a sender in its thread. So the receiver is disconnected once that thread has ended.
    fn thread_end(workers: &Workers) -> mpsc::Receiver<()> {
        let (kept, ended) = mpsc::channel();
        workers.run(move || KEPT.set(Some(kept))).unwrap();
        ended
    }

    fn wait_for_end(ended: &mpsc::Receiver<()>) {
        assert_eq!(
            ended.recv_timeout(PATIENCE),
            Err(RecvTimeoutError::Disconnected),
            "the thread does not end"
        );
    }

    /// Starts this many jobs, each of which ends when its sender is dropped. The receiver gets a message per started
    /// job.
    fn blocked(workers: &Workers, jobs: usize) -> (Vec<mpsc::Sender<()>>, mpsc::Receiver<()>) {
        let (begin, begun) = mpsc::channel();
        let senders = (0..jobs).map(|_| {
            let (sender, end) = mpsc::channel::<()>();
            let begin = begin.clone();
            workers
                .run(move || {
                    begin.send(()).unwrap();
                    let _ = end.recv();
                })
                .unwrap();
            sender
        });
        (senders.collect(), begun)
    }

    #[test]
    fn runs_jobs_in_parallel_up_to_its_limit() {
        let workers = workers(2, PATIENCE);
        let (mut ends, begun) = blocked(&workers, 3);
        assert!(begun.recv_timeout(PATIENCE).is_ok() && begun.recv_timeout(PATIENCE).is_ok());
        assert!(begun.recv_timeout(Duration::from_millis(20)).is_err());
        ends.remove(0);
        assert!(begun.recv_timeout(PATIENCE).is_ok());
    }

    #[test]
    fn idle_threads_end_and_new_ones_start() {
        let workers = workers(1, Duration::from_millis(1));
        for _ in 0..3 {
            let (ends, begun) = blocked(&workers, 1);
            begun.recv_timeout(PATIENCE).unwrap();
            let ended = thread_end(&workers);
            drop(ends);
            wait_for_end(&ended);
        }
    }

    #[test]
    fn an_idle_thread_takes_the_next_job() {
        let workers = workers(8, PATIENCE);
        let (tell, told) = mpsc::channel();
        for _ in 0..5 {
            let tell = tell.clone();
            workers.run(move || tell.send(thread::current().id()).unwrap()).unwrap();
            told.recv_timeout(PATIENCE).unwrap();
            let told_at = Instant::now();
            while workers.pool.queue.lock().idle == 0 {
                assert!(told_at.elapsed() < PATIENCE, "the thread does not become idle");
                thread::yield_now();
            }
        }
        assert_eq!(workers.pool.queue.lock().threads, 1);
    }

    #[test]
    fn a_panic_ends_only_its_job() {
        let workers = workers(1, PATIENCE);
        workers.run(|| panic!("a panic that is caught")).unwrap();
        let (_ends, begun) = blocked(&workers, 1);
        assert!(begun.recv_timeout(PATIENCE).is_ok());
    }

    #[test]
    fn dropped_workers_finish_their_jobs_and_end() {
        // Idle threads would not end in time.
        let workers = workers(1, 10 * PATIENCE);
        let (ends, begun) = blocked(&workers, 2);
        let ended = thread_end(&workers);
        drop(workers);
        drop(ends);
        assert_eq!(begun.iter().count(), 2);
        wait_for_end(&ended);
    }
}
