//! The connection limit. At the limit a connection is evicted for a newcomer: if newcomers were refused, a few hundred
//! clients that do nothing could keep Prometheus out.

mod choice;
mod pressure;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::net::connection::{Activity, AtLimit, Evictable, GracePeriods, Reason};
use crate::scrape::UnsentBudget;
use crate::telemetry::{Cause, Telemetry};
use crate::util::limits::soft_limit;

use choice::{Choice, choose};
use pressure::Pressure;

/// The most connections by default.
pub(crate) const DEFAULT_MAX_CONNECTIONS: usize = 128;

/// [`DEFAULT_MAX_CONNECTIONS`], or a quarter of what the process may open: we must never be why the host's own
/// `open` fails.
pub(crate) fn default_max_connections() -> usize {
    // Where there is no such file (elsewhere than on Linux), limits are generous or unknown.
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let quarter = soft_limit(&limits, "Max open files").map(|limit| limit / 4);
    let quarter = quarter.and_then(|quarter| usize::try_from(quarter).ok()).unwrap_or(usize::MAX);
    DEFAULT_MAX_CONNECTIONS.min(quarter).max(1)
}

/// By which grace periods are divided while the budget of unsent bytes is exceeded.
const UNSENT_DIVISOR: u32 = 16;

/// The tasks of all open connections. Dropping it ends them all.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    /// How long a scraper waits that does not say so.
    scrape_timeout: Duration,
    tasks: JoinSet<()>,
    open: HashMap<Id, Connection>,
    at_limit: Arc<AtLimit>,
    pressure: Pressure,
    unsent: UnsentBudget,
    telemetry: Arc<Telemetry>,
}

#[derive(Debug)]
struct Connection {
    activity: Arc<Activity>,
    task: AbortHandle,
}

impl Connections {
    /// Each response may be written for as long as a scraper waits, `scrape_timeout`, before its connection may be evicted
    /// though its client keeps up.
    pub(crate) fn new(
        max: usize,
        scrape_timeout: Duration,
        unsent: UnsentBudget,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Connections {
            max,
            scrape_timeout,
            tasks: JoinSet::new(),
            open: HashMap::new(),
            at_limit: Arc::default(),
            pressure: Pressure::default(),
            unsent,
            telemetry,
        }
    }

    /// Waits until a newcomer could be let in, if need be for another connection. Before that, newcomers wait in the
    /// backlog.
    pub(crate) async fn room(&mut self) {
        while self.limit_is_reached() {
            match self.choose() {
                Choice::Evict(_) => return,
                Choice::Wait { until } => self.change(until).await,
            }
        }
    }

    /// Waits for a newcomer, and says whether it had queued: it was there at once. Meanwhile connections may end.
    pub(crate) async fn newcomer<N>(&mut self, accept: impl Future<Output = N>) -> (N, bool) {
        let mut accept = pin!(accept);
        let mut queued = true;
        let mut accept = poll_fn(|cx| {
            let accepted = accept.as_mut().poll(cx);
            queued &= accepted.is_ready();
            accepted
        });
        let newcomer = loop {
            tokio::select! {
                biased;
                newcomer = &mut accept => break newcomer,
                () = self.change(None) => {}
            }
        };
        (newcomer, queued)
    }

    /// Makes room for a newcomer, which may have `queued`; says whether another connection was evicted. Its socket is
    /// closed by then: the limit is one on descriptors.
    pub(crate) async fn make_room(&mut self, queued: bool) -> bool {
        // What has ended already is not evicted.
        self.forget_ended();
        let limit_is_reached = self.limit_is_reached();
        self.at_limit.reached.store(limit_is_reached, Ordering::Relaxed);
        if queued && limit_is_reached {
            self.pressure.rise();
        } else {
            self.pressure.fall();
        }
        let mut evicted = false;
        while self.limit_is_reached() {
            match self.choose() {
                Choice::Wait { until } => self.change(until).await,
                Choice::Evict(_) => {
                    // The request of a connection that has just been let in may be here, but not read: one turn for the
                    // I/O driver, one for the connection's task. Otherwise a burst would evict itself.
                    tokio::task::yield_now().await;
                    tokio::task::yield_now().await;
                    self.forget_ended();
                    if !self.limit_is_reached() {
                        break;
                    }
                    if let Choice::Evict(id) = self.choose() {
                        evicted |= self.evict(id, self.divisor()).await;
                    }
                }
            }
        }
        evicted
    }

    /// Lets a connection in. Without room for it, see [`make_room`](Self::make_room), it is one too many.
    pub(crate) fn admit<F>(&mut self, connection: impl FnOnce(Arc<Activity>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let activity = Arc::new(Activity::new(Arc::clone(&self.at_limit)));
        let task = self.tasks.spawn(connection(Arc::clone(&activity)));
        self.open.insert(task.id(), Connection { activity, task });
    }

    /// Waits for the end of one connection; for ever if there is none.
    pub(crate) async fn ended(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.forget(ended),
            None => std::future::pending().await,
        }
    }

    fn forget_ended(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(ended);
        }
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        self.open.remove(&id);
    }

    /// Waits for the end of all, and ends those that outlast the limit.
    pub(crate) async fn drain(mut self, limit: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }

    fn limit_is_reached(&self) -> bool {
        self.open.len() >= self.max
    }

    fn divisor(&self) -> u32 {
        self.pressure.divisor(self.max)
    }

    fn grace(&self, divisor: u32) -> GracePeriods {
        GracePeriods { divisor, write: self.scrape_timeout }
    }

    fn choose(&self) -> Choice<Id> {
        let grace = self.grace(self.divisor());
        choose(self.open.iter().map(|(id, open)| (*id, open.activity.evictable(grace))), Instant::now())
    }

    fn choose_slow(&self) -> Choice<Id> {
        let grace = self.grace(UNSENT_DIVISOR);
        // Evicting one that holds nothing would free nothing.
        let holding = self.open.iter().filter(|(_, open)| open.activity.holds_unsent());
        let slow = holding.map(|(id, open)| {
            let is_slow = |evictable: &Evictable| matches!(evictable.reason, Reason::Slow | Reason::Long);
            (*id, open.activity.evictable(grace).map(|evictable| evictable.filter(is_slow)))
        });
        choose(slow, Instant::now())
    }

    /// Waits for the end of a connection, or for something after which one may be evicted. While the budget of unsent bytes is
    /// exceeded, it evicts a slow client itself.
    async fn change(&mut self, mut until: Option<Instant>) {
        let (unsent, at_limit) = (self.unsent.clone(), Arc::clone(&self.at_limit));
        let is_exceeded = unsent.is_exceeded();
        if is_exceeded {
            match self.choose_slow() {
                Choice::Evict(id) => {
                    if self.evict(id, UNSENT_DIVISOR).await {
                        tracing::debug!("too many unsent bytes; evicted a slow client");
                    }
                    return;
                }
                Choice::Wait { until: slow } => until = until.into_iter().chain(slow).min(),
            }
        }
        tokio::select! {
            () = self.ended() => {}
            () = at_limit.changed.notified() => {}
            () = sleep_until(until) => {}
            () = unsent.until_exceeded(!is_exceeded) => {}
        }
    }

    /// Ends a connection, unless another thread has begun to answer it meanwhile.
    async fn evict(&mut self, id: Id, divisor: u32) -> bool {
        let grace = self.grace(divisor);
        let Some(open) = self.open.get(&id) else { return false };
        if !open.activity.evict(grace) {
            return false;
        }
        open.task.abort();
        self.telemetry.count_error(Cause::Evicted);
        while self.open.contains_key(&id) {
            self.ended().await;
        }
        true
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
