//! Connections that never end by themselves, on a clock of the test's.

use std::future::{pending, ready};
use std::sync::Weak;

use tokio::time::sleep;

use super::*;
use crate::net::connection::Event;
use crate::scrape::Delivery;

const SECOND: Duration = Duration::from_secs(1);
const SCRAPE: Duration = Duration::from_secs(10);

/// So many connections that never end by themselves, a second apart, and what each of them does.
async fn full(max: usize) -> (Connections, Vec<Arc<Activity>>) {
    let mut connections = Connections::new(max, SCRAPE, UnsentBudget::new(None), Arc::new(Telemetry::new()));
    let mut activities = Vec::new();
    for _ in 0..max {
        admit(&mut connections, &mut activities);
        sleep(SECOND).await;
    }
    (connections, activities)
}

fn admit(connections: &mut Connections, activities: &mut Vec<Arc<Activity>>) {
    connections.admit(|activity| {
        activities.push(activity);
        pending()
    })
}

/// Its response is being written.
fn write(activity: &Activity) {
    assert!(request(activity));
    activity.response_begun(None, false);
}

/// Its request is here. Returns whether it is to be answered.
fn request(activity: &Activity) -> bool {
    activity.on(Event::HeadComplete { unread: false, ends_with_its_client: false }).is_answering()
}

/// Its response is written.
fn end(activity: &Activity) {
    activity.on(Event::HandedOver);
    activity.on(Event::Flushed { head_begun: false });
}

/// How long until there is room, and which connection would be evicted for it.
async fn room(connections: &mut Connections, activities: &[Arc<Activity>]) -> (Duration, usize) {
    let start = Instant::now();
    let Some(id) = connections.ready().await else { panic!("no connection ends by itself here") };
    let evicted = &connections.open[&id].activity;
    (start.elapsed(), activities.iter().position(|activity| Arc::ptr_eq(activity, evicted)).unwrap())
}

#[tokio::test(start_paused = true)]
async fn evicts_the_longest_waiting_and_never_one_being_answered() {
    let (mut connections, mut activities) = full(3).await;
    assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 0));
    assert!(request(&activities[0]));
    assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 1));
    write(&activities[1]);
    assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 2));
    assert!(connections.evict_for_newcomer(false).await);
    assert_eq!(connections.open.len(), 2);
    assert!(!request(&activities[2]), "an evicted connection is not answered");
    assert!(!connections.evict_for_newcomer(false).await);
    admit(&mut connections, &mut activities);
    assert_eq!(room(&mut connections, &activities).await, (SECOND / 10, 3));
    assert!(request(&activities[3]));
    assert!(request(&activities[1]));
    let wait = tokio::time::timeout(100 * SCRAPE, connections.ready()).await;
    assert!(wait.is_err(), "all are being answered");
}

/// They kept their connections for 30 s, three times as long as a scraper waits.
#[tokio::test(start_paused = true)]
async fn evicts_clients_that_take_nothing_after_seconds() {
    let (mut connections, activities) = full(3).await;
    activities.iter().for_each(|activity| write(activity));
    let start = Instant::now();
    for _ in 0..10 {
        sleep(SECOND / 10).await;
        activities[0].on(Event::Taken(64 * 1024));
    }
    // The second and the third are as slow as one another; the first keeps up.
    let (time, evicted) = room(&mut connections, &activities).await;
    assert_eq!((start.elapsed(), evicted != 0), (2 * SECOND, true), "{time:?}");
    assert!(connections.evict_for_newcomer(false).await);
    assert_eq!(start.elapsed(), 2 * SECOND);
}

/// Lets a connection in whose response, an exposition of so many bytes, is being written. It is open as long as there is one to
/// upgrade to.
fn admit_with_exposition(
    connections: &mut Connections,
    unsent: &UnsentBudget,
    bytes: usize,
) -> Weak<Activity> {
    let mut open = Weak::new();
    connections.admit(|activity| {
        assert!(request(&activity));
        activity.response_begun(Some(Delivery { unsent: unsent.count(bytes), receipt: None }), false);
        open = Arc::downgrade(&activity);
        pending()
    });
    open
}

/// A slow client that held nothing of the budget was evicted, although that freed no memory.
#[tokio::test(start_paused = true)]
async fn evicts_slow_clients_that_hold_too_much_unsent_and_no_others() {
    let unsent = UnsentBudget::new(Some(10));
    let mut connections = Connections::new(5, SCRAPE, unsent.clone(), Arc::new(Telemetry::new()));
    let mut activities = Vec::new();
    admit(&mut connections, &mut activities);
    admit(&mut connections, &mut activities);
    // It is slow for longest, with a response that is no exposition.
    write(&activities[1]);
    sleep(SECOND).await;
    let mut holding = Vec::new();
    for _ in 0..2 {
        holding.push(admit_with_exposition(&mut connections, &unsent, 8));
        sleep(SECOND / 100).await;
    }
    // Nobody comes.
    let nobody = tokio::time::timeout(SECOND / 2, connections.newcomer(pending::<()>())).await;
    assert!(nobody.is_err());
    let open: Vec<bool> = holding.iter().map(|open| open.upgrade().is_some()).collect();
    assert_eq!(open, [false, true], "the oldest goes, and then there is no need");
    end(&activities[1]);
    for activity in activities {
        assert!(request(&activity), "who holds nothing keeps its connection");
    }
}

/// At the limit the budget of unsent bytes was not looked at.
#[tokio::test(start_paused = true)]
async fn evicts_slow_clients_while_newcomers_wait_at_the_limit() {
    for room_only in [true, false] {
        let unsent = UnsentBudget::new(Some(10));
        let mut connections = Connections::new(2, SCRAPE, unsent.clone(), Arc::new(Telemetry::new()));
        let mut activities = Vec::new();
        admit(&mut connections, &mut activities);
        assert!(request(&activities[0]));
        let holding = admit_with_exposition(&mut connections, &unsent, 11);
        let start = Instant::now();
        if room_only {
            connections.ready().await;
        } else {
            assert!(!connections.evict_for_newcomer(false).await, "it was not evicted for the newcomer");
        }
        assert!(start.elapsed() < SECOND / 2, "{:?}", start.elapsed());
        assert_eq!(connections.open.len(), 1);
        assert!(holding.upgrade().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn evicts_clients_that_keep_up_only_after_a_scrape_timeout() {
    let (mut connections, activities) = full(2).await;
    write(&activities[1]);
    sleep(SECOND).await;
    write(&activities[0]);
    let start = Instant::now();
    let keep_up = tokio::spawn({
        let activities = activities.clone();
        async move {
            loop {
                for activity in &activities {
                    activity.on(Event::Taken(64 * 1024));
                }
                sleep(SECOND).await;
            }
        }
    });
    assert_eq!(room(&mut connections, &activities).await, (SCRAPE - SECOND, 1));
    assert!(connections.evict_for_newcomer(false).await);
    assert_eq!(start.elapsed(), SCRAPE - SECOND);
    keep_up.abort();
}

/// A burst of handshakes evicted itself, and a scrape with it.
#[tokio::test(start_paused = true)]
async fn grants_handshakes_a_grace_period_from_a_whole_hello() {
    let (mut connections, mut activities) = full(3).await;
    // One byte is no hello: all three have been silent for longer than they may.
    assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 0));
    activities[0].on(Event::HelloComplete);
    assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 1));
    sleep(SECOND / 2).await;
    activities[1].on(Event::HelloComplete);
    activities[2].on(Event::HelloComplete);
    assert_eq!(room(&mut connections, &activities).await, (SECOND / 2, 0));
    assert!(connections.evict_for_newcomer(false).await);
    admit(&mut connections, &mut activities);
    assert_eq!(room(&mut connections, &activities).await, (SECOND / 10, 3));
    // It is also that of the first request, and of no other.
    activities[1].on(Event::HandshakeComplete);
    activities[3].on(Event::HelloComplete);
    write(&activities[2]);
    assert_eq!(room(&mut connections, &activities).await, (SECOND - SECOND / 2 - SECOND / 10, 1));
    end(&activities[2]);
    activities[1].on(Event::HelloComplete);
    assert_eq!(room(&mut connections, &activities).await, (Duration::ZERO, 2));
}

/// A thousand clients that took nothing kept a scrape in the backlog for longer than it waits.
#[tokio::test(start_paused = true)]
async fn lets_a_thousand_queued_newcomers_in_within_seconds() {
    let mut connections = Connections::new(128, SCRAPE, UnsentBudget::new(None), Arc::new(Telemetry::new()));
    let start = Instant::now();
    for queued in 0..1000 {
        connections.ready().await;
        let ((), had_queued) = connections.newcomer(ready(())).await;
        assert!(had_queued);
        assert_eq!(connections.evict_for_newcomer(had_queued).await, queued >= 128);
        connections.admit(|activity| {
            write(&activity);
            pending()
        });
    }
    assert!(start.elapsed() < SCRAPE / 2, "{:?}", start.elapsed());
    // Nobody queues any more.
    for _ in 0..9 {
        let ((), had_queued) = connections.newcomer(sleep(SECOND)).await;
        assert!(!had_queued && connections.evict_for_newcomer(had_queued).await);
        connections.admit(|_| pending());
    }
    assert_eq!(connections.divisor(), 1);
}

#[tokio::test(start_paused = true)]
async fn says_that_the_limit_is_reached_while_newcomers_find_it_so() {
    let mut connections = Connections::new(1, SCRAPE, UnsentBudget::new(None), Arc::new(Telemetry::new()));
    let at_limit = Arc::clone(&connections.at_limit);
    let reached = || at_limit.reached.load(Ordering::Relaxed);
    assert!(!connections.evict_for_newcomer(true).await && !reached());
    connections.admit(|_| pending());
    assert!(!reached(), "a connection that nobody else wants is kept");
    assert!(connections.evict_for_newcomer(true).await && reached());
    connections.admit(|_| ready(()));
    sleep(SECOND).await;
    assert!(!connections.evict_for_newcomer(true).await && !reached());
}

/// A burst evicted those of it whose complete requests nobody had read yet.
#[tokio::test(start_paused = true)]
async fn reads_what_a_newcomer_has_sent_before_it_is_evicted() {
    let mut connections = Connections::new(1, SCRAPE, UnsentBudget::new(None), Arc::new(Telemetry::new()));
    connections.admit(|activity| async move {
        tokio::task::yield_now().await;
        assert!(request(&activity));
        sleep(7 * SECOND).await;
    });
    // The runtime was busy with something else for longer than its grace period.
    tokio::time::advance(SECOND).await;
    let start = Instant::now();
    assert!(!connections.evict_for_newcomer(false).await);
    assert_eq!(start.elapsed(), 7 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn room_comes_with_an_end_and_with_a_new_wait() {
    let mut connections =
        Connections::new(1, Duration::MAX, UnsentBudget::new(None), Arc::new(Telemetry::new()));
    connections.admit(|activity| {
        assert!(request(&activity));
        sleep(7 * SECOND)
    });
    let start = Instant::now();
    connections.ready().await;
    assert_eq!((start.elapsed(), connections.limit_is_reached()), (7 * SECOND, false));

    let mut waiting = None;
    connections.admit(|activity| {
        write(&activity);
        waiting = Some(activity);
        pending()
    });
    let waiting = waiting.unwrap();
    let soon = tokio::spawn(async move {
        sleep(SECOND).await;
        end(&waiting);
    });
    let start = Instant::now();
    connections.ready().await;
    assert_eq!(start.elapsed(), SECOND);
    soon.await.unwrap();
}
