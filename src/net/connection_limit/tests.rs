//! Connections that never end on their own, on a paused clock.

use std::future::{pending, ready};
use std::sync::Weak;

use tokio::time::sleep;

use super::*;
use crate::net::connection::Event;
use crate::scrape::Delivery;

const SECOND: Duration = Duration::from_secs(1);
const SCRAPE: Duration = Duration::from_secs(10);

/// Opens this many connections, one second apart, and returns their activities.
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

/// Starts writing a response.
fn write(activity: &Activity) {
    assert!(request(activity));
    activity.response_begun(None);
}

/// Reports a request. Returns whether it is to be answered.
fn request(activity: &Activity) -> bool {
    activity.on(Event::HeadComplete { ends_with_its_client: false }).is_answering()
}

/// Completes the response.
fn end(activity: &Activity) {
    activity.on(Event::HandedOver);
    activity.on(Event::Flushed { head_begun: false });
}

/// Waits until a newcomer can be admitted. Returns the time that took, and the connection that would be evicted.
async fn next_eviction(connections: &mut Connections, activities: &[Arc<Activity>]) -> (Duration, usize) {
    let start = Instant::now();
    let Some(id) = connections.ready().await else { panic!("no connection ends on its own in this test") };
    let evicted = &connections.open[&id].activity;
    (start.elapsed(), activities.iter().position(|activity| Arc::ptr_eq(activity, evicted)).unwrap())
}

#[tokio::test(start_paused = true)]
async fn evicts_the_longest_waiting_but_none_with_a_running_request() {
    let (mut connections, mut activities) = full(3).await;
    assert_eq!(next_eviction(&mut connections, &activities).await, (Duration::ZERO, 0));
    assert!(request(&activities[0]));
    assert_eq!(next_eviction(&mut connections, &activities).await, (Duration::ZERO, 1));
    write(&activities[1]);
    assert_eq!(next_eviction(&mut connections, &activities).await, (Duration::ZERO, 2));
    assert!(connections.evict_for_newcomer(false).await);
    assert!(!request(&activities[2]), "an evicted connection is not answered");
    assert!(!connections.evict_for_newcomer(false).await);
    admit(&mut connections, &mut activities);
    assert_eq!(next_eviction(&mut connections, &activities).await, (SECOND / 10, 3));
    assert!(request(&activities[3]));
    assert!(request(&activities[1]));
    let wait = tokio::time::timeout(100 * SCRAPE, connections.ready()).await;
    assert!(wait.is_err(), "all have a running request");
}

/// Such clients kept their connections for 30 s, three times the timeout of a scraper.
#[tokio::test(start_paused = true)]
async fn evicts_clients_that_read_nothing_after_two_seconds() {
    let (mut connections, activities) = full(3).await;
    activities.iter().for_each(|activity| write(activity));
    let start = Instant::now();
    for _ in 0..10 {
        sleep(SECOND / 10).await;
        activities[0].on(Event::Taken(64 * 1024));
    }
    // The second and the third client are equally slow. The first keeps up.
    let (time, evicted) = next_eviction(&mut connections, &activities).await;
    assert_eq!((start.elapsed(), evicted != 0), (2 * SECOND, true), "{time:?}");
    assert!(connections.evict_for_newcomer(false).await);
    assert_eq!(start.elapsed(), 2 * SECOND);
}

/// Admits a connection that writes an exposition of this size. The connection is open while the returned reference
/// can be upgraded.
fn admit_with_exposition(
    connections: &mut Connections,
    unsent: &UnsentBudget,
    bytes: usize,
) -> Weak<Activity> {
    let mut open = Weak::new();
    connections.admit(|activity| {
        assert!(request(&activity));
        activity.response_begun(Some(Delivery { unsent: unsent.count(bytes), receipt: None }));
        open = Arc::downgrade(&activity);
        pending()
    });
    open
}

/// The server evicted a slow client without unsent bytes, although that freed no memory.
#[tokio::test(start_paused = true)]
async fn evicts_only_slow_clients_with_unsent_expositions() {
    let unsent = UnsentBudget::new(Some(10));
    let mut connections = Connections::new(5, SCRAPE, unsent.clone(), Arc::new(Telemetry::new()));
    let mut activities = Vec::new();
    admit(&mut connections, &mut activities);
    admit(&mut connections, &mut activities);
    // This client is the slowest, but its response is no exposition.
    write(&activities[1]);
    sleep(SECOND).await;
    let mut holding = Vec::new();
    for _ in 0..2 {
        holding.push(admit_with_exposition(&mut connections, &unsent, 8));
        sleep(SECOND / 100).await;
    }
    // No newcomer arrives.
    let nobody = tokio::time::timeout(SECOND / 2, connections.newcomer(pending::<()>())).await;
    assert!(nobody.is_err());
    let open: Vec<bool> = holding.iter().map(|open| open.upgrade().is_some()).collect();
    assert_eq!(open, [false, true], "evicting the oldest is enough");
    end(&activities[1]);
    for activity in activities {
        assert!(request(&activity), "a client without unsent bytes keeps its connection");
    }
}

/// At the connection limit, the server did not check the budget of unsent bytes.
#[tokio::test(start_paused = true)]
async fn evicts_slow_clients_while_newcomers_wait_at_the_limit() {
    for ready_only in [true, false] {
        let unsent = UnsentBudget::new(Some(10));
        let mut connections = Connections::new(2, SCRAPE, unsent.clone(), Arc::new(Telemetry::new()));
        let mut activities = Vec::new();
        admit(&mut connections, &mut activities);
        assert!(request(&activities[0]));
        let holding = admit_with_exposition(&mut connections, &unsent, 11);
        let start = Instant::now();
        if ready_only {
            connections.ready().await;
        } else {
            assert!(!connections.evict_for_newcomer(false).await, "the eviction was not for the newcomer");
        }
        assert!(start.elapsed() < SECOND / 2, "{:?}", start.elapsed());
        assert!(holding.upgrade().is_none());
        activities[0].response_begun(None);
        end(&activities[0]);
        assert!(request(&activities[0]), "the other client keeps its connection");
    }
}

#[tokio::test(start_paused = true)]
async fn evicts_clients_that_keep_up_after_a_scrape_timeout_only() {
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
    assert_eq!(next_eviction(&mut connections, &activities).await, (SCRAPE - SECOND, 1));
    assert!(connections.evict_for_newcomer(false).await);
    assert_eq!(start.elapsed(), SCRAPE - SECOND);
    keep_up.abort();
}

/// A burst of handshakes evicted its own connections, and a scrape.
#[tokio::test(start_paused = true)]
async fn grants_handshakes_a_grace_period_after_client_hello() {
    let (mut connections, mut activities) = full(3).await;
    // One byte is no ClientHello, so all three have exceeded the first grace period.
    assert_eq!(next_eviction(&mut connections, &activities).await, (Duration::ZERO, 0));
    activities[0].on(Event::HelloComplete);
    assert_eq!(next_eviction(&mut connections, &activities).await, (Duration::ZERO, 1));
    sleep(SECOND / 2).await;
    activities[1].on(Event::HelloComplete);
    activities[2].on(Event::HelloComplete);
    assert_eq!(next_eviction(&mut connections, &activities).await, (SECOND / 2, 0));
    assert!(connections.evict_for_newcomer(false).await);
    admit(&mut connections, &mut activities);
    assert_eq!(next_eviction(&mut connections, &activities).await, (SECOND / 10, 3));
    // The same grace period covers the first request, but no later one.
    activities[1].on(Event::HandshakeComplete);
    activities[3].on(Event::HelloComplete);
    write(&activities[2]);
    assert_eq!(next_eviction(&mut connections, &activities).await, (SECOND - SECOND / 2 - SECOND / 10, 1));
    end(&activities[2]);
    activities[1].on(Event::HelloComplete);
    assert_eq!(next_eviction(&mut connections, &activities).await, (Duration::ZERO, 2));
}

/// A thousand clients that read nothing kept a scrape in the backlog for longer than its timeout.
#[tokio::test(start_paused = true)]
async fn admits_a_thousand_queued_newcomers_within_seconds() {
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
    // No newcomer queues any more.
    for _ in 0..9 {
        let ((), had_queued) = connections.newcomer(sleep(SECOND)).await;
        assert!(!had_queued && connections.evict_for_newcomer(had_queued).await);
        connections.admit(|_| pending());
    }
    assert_eq!(connections.divisor(), 1);
}

#[tokio::test(start_paused = true)]
async fn reports_the_limit_as_reached_while_newcomers_wait() {
    let mut connections = Connections::new(1, SCRAPE, UnsentBudget::new(None), Arc::new(Telemetry::new()));
    let at_limit = Arc::clone(&connections.at_limit);
    let reached = || at_limit.reached.load(Ordering::Relaxed);
    assert!(!connections.evict_for_newcomer(true).await && !reached());
    connections.admit(|_| pending());
    assert!(!reached(), "no newcomer wants the connection");
    assert!(connections.evict_for_newcomer(true).await && reached());
    connections.admit(|_| ready(()));
    sleep(SECOND).await;
    assert!(!connections.evict_for_newcomer(true).await && !reached());
}

/// A burst evicted connections whose complete requests the server had not read yet.
#[tokio::test(start_paused = true)]
async fn reads_a_new_request_before_evicting_its_connection() {
    let mut connections = Connections::new(1, SCRAPE, UnsentBudget::new(None), Arc::new(Telemetry::new()));
    connections.admit(|activity| async move {
        tokio::task::yield_now().await;
        assert!(request(&activity));
        sleep(7 * SECOND).await;
    });
    // The runtime was busy for longer than the grace period.
    tokio::time::advance(SECOND).await;
    let start = Instant::now();
    assert!(!connections.evict_for_newcomer(false).await);
    assert_eq!(start.elapsed(), 7 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn becomes_ready_when_a_connection_ends_or_waits_again() {
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
