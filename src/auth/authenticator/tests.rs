//! The authenticator under load. No test asserts a speed: each blocks the thread for as long as it needs.

use std::cell::RefCell;
use std::iter;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::auth::login_queue::MAX_WAITING;

/// Far longer than any wait of a test.
const PATIENCE: Duration = Duration::from_secs(60);
const FULL: Decision = Decision::TooMany { retry_after: QUEUE_FULL };

fn hash(password: &str, cost: u32) -> String {
    bcrypt::hash_with_salt(password, cost, [7; 16]).unwrap().to_string()
}

fn authenticator(users: &[(&str, String)]) -> Authenticator {
    let mut credentials = Credentials::default();
    users.iter().for_each(|(name, hash)| credentials.add_user(name, hash));
    credentials.add_token(b"token");
    assert_eq!(credentials.faults, [] as [String; 0]);
    Authenticator::new(credentials, Arc::new(Telemetry::new()))
}

/// Creates an authenticator with alice, whose password is "secret", and bob, whose password is "other".
fn with_alice_and_bob() -> Authenticator {
    authenticator(&[("alice", hash("secret", 4)), ("bob", hash("other", 4))])
}

/// Keeps the thread busy until the sender is dropped, as a slow hash does.
fn block(authenticator: &Authenticator) -> mpsc::Sender<()> {
    let (end, ended) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let job = move || {
        begin.send(()).unwrap();
        let _ = ended.recv();
    };
    authenticator.worker.run(job).unwrap();
    begun.recv_timeout(PATIENCE).unwrap();
    end
}

thread_local! {
    /// Dropped when the thread ends.
    static KEPT: RefCell<Option<mpsc::Sender<()>>> = const { RefCell::new(None) };
}

fn peer(last: u8) -> Option<IpAddr> {
    Some(IpAddr::from([192, 0, 2, last]))
}

async fn log_in(authenticator: &Authenticator, peer: Option<IpAddr>, name: &str, password: &str) -> Decision {
    let header = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
    authenticator.check(peer, iter::once(header.as_bytes())).await
}

async fn show(authenticator: &Authenticator, peer: Option<IpAddr>, header: &str) -> Decision {
    authenticator.check(peer, iter::once(header.as_bytes())).await
}

/// Waits for the future, and panics if it does not complete in time.
async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} waits"))
}

/// Polls the future once.
fn begin(future: std::pin::Pin<&mut impl Future<Output = Decision>>) {
    let polled = future.poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Pending);
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn rejected(authenticator: &Authenticator) -> Vec<String> {
    let families = authenticator.verifier.telemetry.families();
    let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
    let series = text.lines().filter_map(|line| line.strip_prefix("prometheus_exporter_denied_total"));
    series.filter(|series| !series.ends_with(" 0")).map(str::to_owned).collect()
}

#[tokio::test]
async fn grants_valid_credentials_and_counts_rejections() {
    use Decision::{Granted, Unauthorized};
    let authenticator = authenticator(&[("alice", hash("secret", 4))]);
    for _ in 0..2 {
        assert_eq!(log_in(&authenticator, None, "alice", "secret").await, Granted);
        assert_eq!(show(&authenticator, None, "Bearer token").await, Granted);
        assert_eq!(log_in(&authenticator, None, "alice", "other").await, Unauthorized);
        assert_eq!(log_in(&authenticator, None, "carol", "secret").await, Unauthorized);
        assert_eq!(show(&authenticator, None, "Bearer other").await, Unauthorized);
        assert_eq!(show(&authenticator, None, "Bearer").await, Unauthorized);
        assert_eq!(authenticator.check(None, iter::empty()).await, Unauthorized);
    }
    assert_eq!(
        rejected(&authenticator),
        ["{reason=\"no_credentials\"} 4", "{reason=\"wrong_credentials\"} 6"]
    );
}

/// Takes a fixed time, because the limit allows another guess every six seconds.
async fn show_at(
    authenticator: &Authenticator,
    peer: Option<IpAddr>,
    header: &str,
    now: Instant,
) -> Decision {
    match authenticator.evaluate(peer, iter::once(header.as_bytes()), now) {
        Check::Now(decision, _) => decision,
        Check::Later(decision) => decision.await.unwrap(),
    }
}

#[tokio::test]
async fn rate_limits_failed_logins_but_not_cached_ones() {
    let authenticator = with_alice_and_bob();
    let now = Instant::now();
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let (alice, bob) = (basic("alice:secret"), basic("bob:other"));
    assert_eq!(show_at(&authenticator, peer(1), &alice, now).await, Decision::Granted);
    let mut decisions = Vec::new();
    for guess in 0..12 {
        let wrong = if guess % 2 == 0 { "Bearer wrong".to_owned() } else { basic(&format!("alice:{guess}")) };
        decisions.push(show_at(&authenticator, peer(1), &wrong, now).await);
    }
    assert_eq!(decisions[..10], [Decision::Unauthorized; 10]);
    let six = Decision::TooMany { retry_after: Duration::from_secs(6) };
    assert_eq!(decisions[10..], [six; 2]);
    // Even a right password is rejected, because a 200 would distinguish it from a wrong one.
    assert_eq!(show_at(&authenticator, peer(1), &bob, now).await, six);
    assert_eq!(show_at(&authenticator, peer(2), &bob, now).await, Decision::Granted);
    assert_eq!(show_at(&authenticator, peer(1), &bob, now).await, six);
    // Cached logins from this address and tokens are accepted.
    assert_eq!(show_at(&authenticator, peer(1), &alice, now).await, Decision::Granted);
    assert_eq!(show_at(&authenticator, peer(1), "Bearer token", now).await, Decision::Granted);
}

/// Uses a current-thread runtime, which bcrypt would block.
#[tokio::test]
async fn a_login_storm_does_not_delay_cached_logins_and_tokens() {
    let authenticator = Arc::new(with_alice_and_bob());
    assert_eq!(log_in(&authenticator, peer(1), "alice", "secret").await, Decision::Granted);
    let blocked = block(&authenticator);
    let wrong: Vec<_> = (0..300)
        .map(|guess: u32| {
            let authenticator = Arc::clone(&authenticator);
            tokio::spawn(async move { log_in(&authenticator, peer(1), "bob", &guess.to_string()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(
        in_time("cached", log_in(&authenticator, peer(1), "alice", "secret")).await,
        Decision::Granted
    );
    assert_eq!(in_time("a token", show(&authenticator, peer(1), "Bearer token")).await, Decision::Granted);
    assert_eq!(
        in_time("cached, elsewhere", log_in(&authenticator, peer(3), "alice", "secret")).await,
        Decision::Granted
    );
    let finished = || wrong.iter().filter(|wrong| wrong.is_finished()).count();
    until("the end of those beyond the queue", || finished() == 300 - MAX_WAITING).await;
    // A new login from another address is verified first.
    let mut new = Box::pin(log_in(&authenticator, peer(2), "bob", "other"));
    begin(new.as_mut());
    drop(blocked);
    assert_eq!(in_time("elsewhere", new).await, Decision::Granted);
    let mut decisions = Vec::new();
    for wrong in wrong {
        decisions.push(in_time("a wrong one", wrong).await.unwrap());
    }
    let unauthorized = decisions.iter().filter(|decision| **decision == Decision::Unauthorized).count();
    let too_many = decisions.iter().filter(|decision| matches!(decision, Decision::TooMany { .. })).count();
    assert_eq!((unauthorized, too_many), (MAX_WAITING - 1, 300 - MAX_WAITING + 1));
}

#[tokio::test]
async fn a_full_queue_evicts_for_another_address() {
    let authenticator = with_alice_and_bob();
    let blocked = block(&authenticator);
    let guesses = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut flood: Vec<_> =
        guesses.iter().map(|guess| Box::pin(log_in(&authenticator, peer(1), "bob", guess))).collect();
    flood.iter_mut().for_each(|login| begin(login.as_mut()));
    let mut new = Box::pin(log_in(&authenticator, peer(2), "alice", "secret"));
    begin(new.as_mut());
    let evicted = flood.pop().unwrap();
    assert_eq!(in_time("the evicted one", evicted).await, FULL);
    assert_eq!(in_time("the same address", log_in(&authenticator, peer(1), "alice", "secret")).await, FULL);
    drop(blocked);
    assert_eq!(in_time("elsewhere", new).await, Decision::Granted);
    for login in flood {
        assert_eq!(in_time("a guess", login).await, Decision::Unauthorized);
    }
}

#[tokio::test]
async fn the_queue_holds_eight_logins() {
    let authenticator = with_alice_and_bob();
    let blocked = block(&authenticator);
    let mut waiting: Vec<_> =
        (0..8).map(|last| Box::pin(log_in(&authenticator, peer(last), "bob", "x"))).collect();
    waiting.iter_mut().for_each(|login| begin(login.as_mut()));
    assert_eq!(in_time("the ninth", log_in(&authenticator, peer(9), "alice", "secret")).await, FULL);
    assert_eq!(rejected(&authenticator), ["{reason=\"logins\"} 1"]);
    drop(waiting.pop());
    let mut ninth = Box::pin(log_in(&authenticator, peer(9), "alice", "secret"));
    begin(ninth.as_mut());
    drop(blocked);
    assert_eq!(in_time("in its place", ninth).await, Decision::Granted);
}

/// As with a scraper whose timeout is shorter than bcrypt takes.
#[tokio::test]
async fn an_abandoned_login_is_still_cached() {
    let authenticator = with_alice_and_bob();
    let blocked = block(&authenticator);
    begin(pin!(log_in(&authenticator, peer(1), "alice", "secret")).as_mut());
    drop(blocked);
    // The thread runs its jobs in order, so the login has ended after this.
    drop(block(&authenticator));
    let polled = pin!(log_in(&authenticator, peer(1), "alice", "secret"))
        .poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Decision::Granted));
}

#[tokio::test]
async fn dropping_the_authenticator_ends_the_thread() {
    let authenticator = with_alice_and_bob();
    let blocked = block(&authenticator);
    begin(pin!(log_in(&authenticator, peer(1), "bob", "x")).as_mut());
    let (kept, ended) = mpsc::channel::<()>();
    authenticator.worker.run(move || KEPT.set(Some(kept))).unwrap();
    drop(authenticator);
    drop(blocked);
    // Sooner than an idle thread ends by itself.
    assert_eq!(ended.recv_timeout(IDLE / 2), Err(mpsc::RecvTimeoutError::Disconnected));
}

#[tokio::test]
async fn debug_prints_no_secrets() {
    let authenticator = authenticator(&[("alice", hash("hunter2", 4))]);
    log_in(&authenticator, peer(1), "alice", "hunter2").await;
    let printed = format!("{authenticator:?}");
    for secret in ["hunter2", "alice", "$2", "token\""] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
