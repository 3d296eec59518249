//! The connection limit. At the limit, the server evicts a connection for each newcomer. If it rejected newcomers
//! instead, a few hundred idle clients could keep Prometheus out.

mod eviction;
mod pressure;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::future::poll_fn;
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

use eviction::{Eviction, choose};
use pressure::Pressure;

/// Default maximum number of connections.
pub(crate) const DEFAULT_MAX_CONNECTIONS: usize = 128;

/// Returns [`DEFAULT_MAX_CONNECTIONS`], or a quarter of the process's limit of open files if that is less. The server
/// must never make the host's own `open` fail.
pub(crate) fn default_max_connections() -> usize {
    // The file exists on Linux only. Elsewhere limits are generous or unknown.
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let quarter = soft_limit(&limits, "Max open files").map(|limit| limit / 4);
    let quarter = quarter.and_then(|quarter| usize::try_from(quarter).ok()).unwrap_or(usize::MAX);
    DEFAULT_MAX_CONNECTIONS.min(quarter).max(1)
}

/// Divisor of the grace periods while the budget of unsent bytes is exceeded.
const UNSENT_DIVISOR: u32 = 16;

/// The tasks of all open connections. Dropping it aborts them all.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    /// Timeout of scrapes without a timeout header.
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
    /// Creates an empty set of connections. A client that keeps up may take `scrape_timeout` for its responses before
    /// its connection becomes evictable.
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

    /// Waits until a newcomer can be admitted. At the limit, that is when a connection becomes evictable, and this
    /// returns its ID. Until then, newcomers wait in the backlog.
    pub(crate) async fn ready(&mut self) -> Option<Id> {
        while self.limit_is_reached() {
            match self.choose() {
                Eviction::Now(id) => return Some(id),
                Eviction::Later { until } => self.change(until).await,
            }
        }
        None
    }

    /// Waits for a newcomer, while connections may end. Returns whether the newcomer had queued, which is when it was
    /// available at once.
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

    /// Evicts a connection for a newcomer if the limit is reached. Returns whether it did. The evicted socket is
    /// closed before this returns, because the limit bounds descriptors. `queued` says whether the newcomer had
    /// queued.
    pub(crate) async fn evict_for_newcomer(&mut self, queued: bool) -> bool {
        // Connections that have already ended need no eviction.
        self.forget_ended();
        let limit_is_reached = self.limit_is_reached();
        self.at_limit.reached.store(limit_is_reached, Ordering::Relaxed);
        if queued && limit_is_reached {
            self.pressure.rise();
        } else {
            self.pressure.fall();
        }
        let mut evicted = false;
        while self.ready().await.is_some() {
            // The request of a connection that was just admitted may have arrived unread. One yield lets the I/O
            // driver run, and one the connection's task. Without them, a burst would evict its own connections.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            self.forget_ended();
            if self.limit_is_reached() {
                if let Eviction::Now(id) = self.choose() {
                    evicted |= self.evict(id, self.divisor()).await;
                }
            }
        }
        evicted
    }

    /// Admits a connection. Call [`evict_for_newcomer`](Self::evict_for_newcomer) first, or the limit may be exceeded
    /// by one.
    pub(crate) fn admit<F>(&mut self, connection: impl FnOnce(Arc<Activity>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let activity = Arc::new(Activity::new(Arc::clone(&self.at_limit)));
        let task = self.tasks.spawn(connection(Arc::clone(&activity)));
        self.open.insert(task.id(), Connection { activity, task });
    }

    /// Waits until one connection ends. Never completes if there is none.
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

    /// Waits until all connections end, and aborts those that are open after the time limit.
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

    fn choose(&self) -> Eviction<Id> {
        self.choose_among(|_, _| true, self.divisor())
    }

    fn choose_among(&self, admits: impl Fn(&Activity, Reason) -> bool, divisor: u32) -> Eviction<Id> {
        let grace = self.grace(divisor);
        let open = self.open.iter().map(|(id, open)| {
            let admitted = |evictable: &Evictable| admits(&open.activity, evictable.reason);
            (*id, open.activity.evictable(grace).map(|evictable| evictable.filter(admitted)))
        });
        choose(open, Instant::now())
    }

    /// Waits until a connection ends or may have become evictable. While the budget of unsent bytes is exceeded, it
    /// evicts a slow client itself.
    async fn change(&mut self, mut until: Option<Instant>) {
        let (unsent, at_limit) = (self.unsent.clone(), Arc::clone(&self.at_limit));
        let is_exceeded = unsent.is_exceeded();
        if is_exceeded {
            // A connection without unsent bytes would free no memory.
            let is_slow = |activity: &Activity, reason: Reason| {
                matches!(reason, Reason::Slow | Reason::Long) && activity.holds_unsent()
            };
            match self.choose_among(is_slow, UNSENT_DIVISOR) {
                Eviction::Now(id) => {
                    if self.evict(id, UNSENT_DIVISOR).await {
                        tracing::debug!("too many unsent bytes; evicted a slow client");
                    }
                    return;
                }
                Eviction::Later { until: slow } => until = until.into_iter().chain(slow).min(),
            }
        }
        // Each response notifies it, and below the limit no connection is to be evicted.
        let is_awaited = is_exceeded || self.limit_is_reached();
        tokio::select! {
            () = self.ended() => {}
            () = at_limit.changed.notified(), if is_awaited => {}
            () = sleep_until(until) => {}
            () = unsent.until_exceeded(!is_exceeded) => {}
        }
    }

    /// Evicts a connection, unless another thread has begun to serve a request on it.
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
