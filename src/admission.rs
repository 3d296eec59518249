//! Who gets in: a cap on connections that evicts and does not lock out, for otherwise a few hundred silent
//! sockets keep Prometheus away.

use std::collections::HashMap;
use std::fs;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;

use crate::connection::Activity;
use crate::limits::soft_limit;

/// The default of [`Builder::max_connections`](crate::Builder::max_connections), unless a quarter of the process's
/// descriptor limit is less: 128.
pub const DEFAULT_MAX_CONNECTIONS: usize = 128;

/// [`DEFAULT_MAX_CONNECTIONS`], or a quarter of what the process may open: we must never be why the host's own
/// `open` fails.
pub(crate) fn default_max_connections() -> usize {
    // Where there is no such file (elsewhere than on Linux), limits are generous or unknown.
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let quarter = soft_limit(&limits, "Max open files").map(|limit| limit / 4);
    let quarter = quarter.and_then(|quarter| usize::try_from(quarter).ok()).unwrap_or(usize::MAX);
    DEFAULT_MAX_CONNECTIONS.min(quarter).max(1)
}

/// The tasks of all open connections. Dropping it ends them all.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    /// How long a response may have been on its way before its connection may be evicted for want of another.
    write_timeout: Duration,
    tasks: JoinSet<()>,
    seats: HashMap<Id, Seat>,
    began_to_wait: Arc<Notify>,
}

#[derive(Debug)]
struct Seat {
    activity: Arc<Activity>,
    task: AbortHandle,
}

/// What the cap says about one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Free,
    /// At the cap; this connection may be closed for the newcomer.
    Evict(Id),
    /// At the cap, and all are being answered or in their handshake; until then, if one of them goes by then.
    None {
        until: Option<Instant>,
    },
}

impl Connections {
    pub(crate) fn new(max: usize, write_timeout: Duration) -> Self {
        Connections {
            max,
            write_timeout,
            tasks: JoinSet::new(),
            seats: HashMap::new(),
            began_to_wait: Arc::default(),
        }
    }

    /// Waits until one more connection could get in, if need be in another's place.
    pub(crate) async fn room(&mut self) {
        while let Room::None { until } = self.look_for_room() {
            self.change(until).await;
        }
    }

    /// Makes a place for one more connection; says whether another had to go. Its socket is closed by then: the cap is
    /// one on descriptors.
    pub(crate) async fn make_room(&mut self) -> bool {
        let mut evicted = false;
        loop {
            match self.look_for_room() {
                Room::Free => return evicted,
                Room::None { until } => self.change(until).await,
                Room::Evict(_) => {
                    // Who has just been let in may have sent its request without having been asked for it: one turn
                    // for the I/O driver, one for the connection's task. Otherwise a burst evicts itself.
                    tokio::task::yield_now().await;
                    tokio::task::yield_now().await;
                    let Room::Evict(id) = self.look_for_room() else { continue };
                    evicted |= self.evict(id).await;
                }
            }
        }
    }

    /// Lets a connection in. Where there is no place for it, see [`make_room`](Self::make_room), it is one too many.
    pub(crate) fn admit<F>(&mut self, connection: impl FnOnce(Arc<Activity>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let activity = Arc::new(Activity::new(Arc::clone(&self.began_to_wait)));
        let task = self.tasks.spawn(connection(Arc::clone(&activity)));
        self.seats.insert(task.id(), Seat { activity, task });
    }

    /// Waits for the end of one connection; for ever if there is none.
    pub(crate) async fn ended(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => self.seats.remove(&id),
            Some(Err(error)) => self.seats.remove(&error.id()),
            None => std::future::pending().await,
        };
    }

    /// Waits for the end of all, and ends those that outlast the limit.
    pub(crate) async fn drain(mut self, limit: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }

    /// Waits for something that may make room.
    async fn change(&mut self, until: Option<Instant>) {
        let began_to_wait = Arc::clone(&self.began_to_wait);
        tokio::select! {
            () = self.ended() => {}
            () = began_to_wait.notified() => {}
            () = sleep_until(until) => {}
        }
    }

    /// Ends a connection, unless it has begun to be answered meanwhile, on another thread.
    async fn evict(&mut self, id: Id) -> bool {
        let Some(seat) = self.seats.get(&id) else { return false };
        if !seat.activity.evict(self.write_timeout) {
            return false;
        }
        seat.task.abort();
        while self.seats.contains_key(&id) {
            self.ended().await;
        }
        true
    }

    fn look_for_room(&self) -> Room {
        if self.seats.len() < self.max {
            return Room::Free;
        }
        // Who waits goes at once, but for those in their handshake; who writes has its time.
        let (mut waiting, mut later) = (None, None);
        for (id, seat) in &self.seats {
            let activity = &seat.activity;
            if let Some(until) = activity.shielded_until() {
                earlier(&mut later, until, *id);
            } else if let Some(since) = activity.waiting_since() {
                earlier(&mut waiting, since, *id);
            } else if let Some(until) =
                activity.writing_since().and_then(|since| since.checked_add(self.write_timeout))
            {
                earlier(&mut later, until, *id);
            }
        }
        match (waiting, later) {
            (Some((_, id)), _) => Room::Evict(id),
            (None, Some((until, id))) if until <= Instant::now() => Room::Evict(id),
            (None, later) => Room::None { until: later.map(|(until, _)| until) },
        }
    }
}

/// Keeps the earlier of two.
fn earlier(first: &mut Option<(Instant, Id)>, at: Instant, id: Id) {
    if first.is_none_or(|(first, _)| at < first) {
        *first = Some((at, id));
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::HANDSHAKE_SHIELD as SHIELD;

    const WRITE: Duration = Duration::from_secs(30);

    /// So many connections that never end by themselves, and what each of them does.
    async fn full(max: usize) -> (Connections, Vec<Arc<Activity>>) {
        let mut connections = Connections::new(max, WRITE);
        let mut activities = Vec::new();
        for _ in 0..max {
            admit(&mut connections, &mut activities);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        (connections, activities)
    }

    fn admit(connections: &mut Connections, activities: &mut Vec<Arc<Activity>>) {
        connections.admit(|activity| {
            activities.push(activity);
            std::future::pending()
        })
    }

    /// How long until there is room, and whose place it is.
    async fn room(connections: &mut Connections, activities: &[Arc<Activity>]) -> (Duration, usize) {
        let start = Instant::now();
        connections.room().await;
        let Room::Evict(id) = connections.look_for_room() else { panic!("nobody ends by himself here") };
        let evicted = &connections.seats[&id].activity;
        (start.elapsed(), activities.iter().position(|activity| Arc::ptr_eq(activity, evicted)).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_longest_goes_and_who_is_answered_stays() {
        let (mut connections, mut activities) = full(3).await;
        assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 0));
        assert!(activities[0].head_complete(false, false));
        assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 1));
        assert!(activities[1].head_complete(false, false));
        activities[1].response_begun(None);
        assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 2));
        assert!(connections.make_room().await);
        assert_eq!(connections.seats.len(), 2);
        assert!(!activities[2].head_complete(false, false), "who is evicted is not answered");
        assert!(!connections.make_room().await);
        admit(&mut connections, &mut activities);
        assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_answered_who_has_written_for_a_write_timeout_goes() {
        let (mut connections, activities) = full(2).await;
        for activity in &activities {
            assert!(activity.head_complete(false, false));
        }
        let wait = tokio::time::timeout(100 * WRITE, connections.room()).await;
        assert!(wait.is_err(), "while no response has begun nobody goes");
        activities[1].response_begun(None);
        tokio::time::sleep(Duration::from_secs(10)).await;
        activities[0].response_begun(None);
        assert_eq!(room(&mut connections, &activities).await, (WRITE - Duration::from_secs(10), 1));
    }

    /// A burst of handshakes evicted itself, and a scrape with it.
    #[tokio::test(start_paused = true)]
    async fn who_is_in_its_handshake_stays_for_a_while_and_silent_ones_go_first() {
        let (mut connections, mut activities) = full(3).await;
        activities[0].shield(SHIELD);
        assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 1));
        tokio::time::sleep(SHIELD / 2).await;
        activities[1].shield(SHIELD);
        activities[2].shield(SHIELD);
        assert!(!activities[1].evict(WRITE));
        // All three: until the first has had its time, and no longer.
        assert_eq!(room(&mut connections, &activities).await, (SHIELD / 2, 0));
        assert!(connections.make_room().await);
        admit(&mut connections, &mut activities);
        assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 3));
        // A request ends it: between two requests anybody may go.
        activities[3].shield(SHIELD);
        activities[2].secured();
        assert!(activities[2].head_complete(false, false) && activities[1].head_complete(false, false));
        activities[2].response_begun(None);
        activities[2].handed_over();
        activities[2].flushed();
        assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 2));
    }

    /// A burst evicted those of it whose complete requests nobody had read yet.
    #[tokio::test(start_paused = true)]
    async fn who_has_just_come_is_given_a_turn_before_it_is_evicted() {
        let mut connections = Connections::new(1, WRITE);
        connections.admit(|activity| async move {
            tokio::task::yield_now().await;
            assert!(activity.head_complete(false, false));
            tokio::time::sleep(Duration::from_secs(7)).await;
        });
        let start = Instant::now();
        assert!(!connections.make_room().await);
        assert_eq!(start.elapsed(), Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_makes_room_and_so_does_a_new_wait() {
        let mut connections = Connections::new(1, Duration::MAX);
        connections.admit(|activity| {
            assert!(activity.head_complete(false, false));
            tokio::time::sleep(Duration::from_secs(7))
        });
        let start = Instant::now();
        connections.room().await;
        assert_eq!((start.elapsed(), connections.look_for_room()), (Duration::from_secs(7), Room::Free));

        let mut waiting = None;
        connections.admit(|activity| {
            assert!(activity.head_complete(false, false));
            activity.response_begun(None);
            waiting = Some(activity);
            std::future::pending()
        });
        let waiting = waiting.unwrap();
        let soon = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            waiting.handed_over();
            waiting.flushed();
        });
        let start = Instant::now();
        connections.room().await;
        assert_eq!(start.elapsed(), Duration::from_secs(3));
        soon.await.unwrap();
    }
}
