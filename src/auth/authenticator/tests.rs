//! The gate under load. Nothing asserts a speed: what waits for an endless hash waits for good, and fails at the tests' patience.

use std::future::Future;
use std::iter;
use std::pin::pin;
use std::sync::Weak;
use std::task::{Context, Poll, Waker};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// Far beyond whatever a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

fn hash(password: &str, cost: u32) -> String {
    bcrypt::hash_with_salt(password, cost, [7; 16]).unwrap().to_string()
}

/// Nobody lives to see it verified.
fn endless() -> String {
    hash("never", 4).replace("$04$", "$31$")
}

fn gate(users: &[(&str, String)]) -> Gate {
    let mut keyring = Keyring::default();
    users.iter().for_each(|(name, hash)| keyring.push_user(name, hash));
    keyring.push_token(b"token");
    assert_eq!(keyring.faults().first().map(String::as_str), None);
    Gate::new(keyring, Arc::new(Telemetry::new()))
}

fn peer(last: u8) -> Option<IpAddr> {
    Some(IpAddr::from([192, 0, 2, last]))
}

async fn log_in(gate: &Gate, peer: Option<IpAddr>, name: &str, password: &str) -> Verdict {
    let header = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
    gate.check(peer, iter::once(header.as_bytes())).await
}

async fn show(gate: &Gate, peer: Option<IpAddr>, header: &str) -> Verdict {
    gate.check(peer, iter::once(header.as_bytes())).await
}

/// Some time, and not behind what is endless.
async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} waits"))
}

/// As far as it comes by itself.
fn begin(future: std::pin::Pin<&mut impl Future<Output = Verdict>>) {
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

fn denied(gate: &Gate) -> Vec<String> {
    let families = gate.shared.telemetry.registry().gather();
    let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
    let series = text.lines().filter_map(|line| line.strip_prefix("prometheus_exporter_denied_total"));
    series.filter(|series| !series.ends_with(" 0")).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_admitted_and_what_is_counted() {
    use Verdict::{Admitted, Unauthorized};
    let gate = gate(&[("alice", hash("secret", 4))]);
    for _ in 0..2 {
        assert_eq!(log_in(&gate, None, "alice", "secret").await, Admitted);
        assert_eq!(show(&gate, None, "Bearer token").await, Admitted);
        assert_eq!(log_in(&gate, None, "alice", "other").await, Unauthorized);
        assert_eq!(log_in(&gate, None, "carol", "secret").await, Unauthorized);
        assert_eq!(show(&gate, None, "Bearer other").await, Unauthorized);
        assert_eq!(show(&gate, None, "Bearer").await, Unauthorized);
        assert_eq!(gate.check(None, iter::empty()).await, Unauthorized);
    }
    assert_eq!(denied(&gate), ["{reason=\"no_credentials\"} 4", "{reason=\"wrong_credentials\"} 6"]);
}

/// At one moment, for a guess more is allowed each six seconds.
async fn show_at(gate: &Gate, peer: Option<IpAddr>, header: &str, now: Instant) -> Verdict {
    match gate.shared.judge(peer, iter::once(header.as_bytes()), now) {
        Answer::Now(verdict, _) => verdict,
        Answer::Later(verdict) => verdict.await.unwrap(),
    }
}

#[tokio::test]
async fn who_guesses_too_often_waits_and_keeps_waiting_nobody_else() {
    let gate = gate(&[("alice", hash("secret", 4)), ("bob", hash("other", 4))]);
    let now = Instant::now();
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let (alice, bob) = (basic("alice:secret"), basic("bob:other"));
    assert_eq!(show_at(&gate, peer(1), &alice, now).await, Verdict::Admitted);
    let mut verdicts = Vec::new();
    for guess in 0..12 {
        let wrong = if guess % 2 == 0 { "Bearer wrong".to_owned() } else { basic(&format!("alice:{guess}")) };
        verdicts.push(show_at(&gate, peer(1), &wrong, now).await);
    }
    assert_eq!(verdicts[..10], [Verdict::Unauthorized; 10]);
    let six = Verdict::TooMany { retry_after: Duration::from_secs(6) };
    assert_eq!(verdicts[10..], [six; 2]);
    // Not even what is right, for 200 would tell it from 429 …
    assert_eq!(show_at(&gate, peer(1), &bob, now).await, six);
    assert_eq!(show_at(&gate, peer(2), &bob, now).await, Verdict::Admitted);
    assert_eq!(show_at(&gate, peer(1), &bob, now).await, six);
    // … but for who was there before, and whoever has a token.
    assert_eq!(show_at(&gate, peer(1), &alice, now).await, Verdict::Admitted);
    assert_eq!(show_at(&gate, peer(1), "Bearer token", now).await, Verdict::Admitted);
}

/// On a current-thread runtime, which one guess at the endless hash would block for good.
#[tokio::test]
async fn three_hundred_wrong_logins_keep_nobody_waiting() {
    let gate = gate(&[("alice", hash("secret", 4)), ("bob", hash("other", 4)), ("slowpoke", endless())]);
    let gate = Arc::new(gate);
    assert_eq!(log_in(&gate, peer(1), "alice", "secret").await, Verdict::Admitted);
    let wrong: Vec<_> = (0..300)
        .map(|guess: u32| {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move { log_in(&gate, peer(1), "slowpoke", &guess.to_string()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert!(!gate.shared.state().queue.is_empty());
    assert_eq!(in_time("remembered", log_in(&gate, peer(1), "alice", "secret")).await, Verdict::Admitted);
    assert_eq!(in_time("a token", show(&gate, peer(1), "Bearer token")).await, Verdict::Admitted);
    assert_eq!(in_time("elsewhere", log_in(&gate, peer(2), "bob", "other")).await, Verdict::Admitted);
    assert_eq!(
        in_time("known, elsewhere", log_in(&gate, peer(3), "alice", "secret")).await,
        Verdict::Admitted
    );
    // But for those in the eight places.
    until("the end of the others", || wrong.iter().filter(|wrong| wrong.is_finished()).count() >= 292).await;
    for verdict in wrong {
        if verdict.is_finished() {
            assert!(matches!(verdict.await, Ok(Verdict::TooMany { .. })));
        }
    }
}

#[tokio::test]
async fn a_hash_that_takes_for_ever_holds_up_nobody() {
    let gate = gate(&[("alice", hash("secret", 4)), ("bob", endless())]);
    let guesses = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut flood: Vec<_> =
        guesses.iter().map(|guess| Box::pin(log_in(&gate, peer(1), "bob", guess))).collect();
    flood.iter_mut().for_each(|login| begin(login.as_mut()));
    // It takes a place from those who have all.
    assert_eq!(in_time("elsewhere", log_in(&gate, peer(2), "alice", "secret")).await, Verdict::Admitted);
    let loser = flood.pop().unwrap();
    assert_eq!(in_time("the loser", loser).await, Verdict::TooMany { retry_after: NO_PLACE });
    // From the same address, in the place that is free again.
    let wrong = in_time("beside it", log_in(&gate, peer(1), "alice", "wrong")).await;
    assert_eq!(wrong, Verdict::Unauthorized);
    flood.iter_mut().for_each(|login| begin(login.as_mut()));
}

#[tokio::test]
async fn there_are_eight_places_and_who_leaves_gives_his_up() {
    let gate = gate(&[("alice", hash("secret", 4)), ("bob", endless())]);
    let mut waiting: Vec<_> = (0..8).map(|last| Box::pin(log_in(&gate, peer(last), "bob", "x"))).collect();
    waiting.iter_mut().for_each(|login| begin(login.as_mut()));
    let full = Verdict::TooMany { retry_after: NO_PLACE };
    assert_eq!(in_time("the ninth", log_in(&gate, peer(9), "alice", "secret")).await, full);
    assert_eq!(denied(&gate), ["{reason=\"logins\"} 1"]);
    drop(waiting.pop());
    assert_eq!(in_time("in his place", log_in(&gate, peer(9), "alice", "secret")).await, Verdict::Admitted);
}

/// A scraper with less patience than bcrypt.
#[tokio::test]
async fn what_nobody_waits_for_is_remembered_still() {
    let gate = gate(&[("alice", hash("secret", 8))]);
    {
        let login = pin!(log_in(&gate, peer(1), "alice", "secret"));
        // Not surely pending: this thread may have been away for as long as bcrypt takes.
        let _ = login.poll(&mut Context::from_waker(Waker::noop()));
    }
    until("the verdict", || gate.shared.state().queue.is_empty()).await;
    let login = pin!(log_in(&gate, peer(1), "alice", "secret"));
    let polled = login.poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Verdict::Admitted));
}

#[tokio::test]
async fn the_thread_ends_with_its_gate_even_amid_a_hash() {
    let gate = gate(&[("bob", endless())]);
    let shared: Weak<Shared> = Arc::downgrade(&gate.shared);
    {
        let login = pin!(log_in(&gate, peer(1), "bob", "x"));
        begin(login);
    }
    assert!(gate.shared.state().served);
    drop(gate);
    until("the end of the thread", || shared.strong_count() == 0).await;
}

#[tokio::test]
async fn the_thread_ends_when_there_is_nothing_to_do_and_comes_back() {
    let mut gate = gate(&[("alice", hash("secret", 4))]);
    Arc::get_mut(&mut gate.shared).unwrap().idle = Duration::from_millis(1);
    for guess in ["x", "y", "secret"] {
        let right = log_in(&gate, peer(1), "alice", guess).await.is_admitted();
        assert_eq!(right, guess == "secret");
        until("the end of the thread", || Arc::strong_count(&gate.shared) == 1).await;
        assert!(!gate.shared.state().served);
    }
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let gate = gate(&[("alice", hash("hunter2", 4))]);
    log_in(&gate, peer(1), "alice", "hunter2").await;
    let printed = format!("{gate:?}");
    for secret in ["hunter2", "alice", "$2", "token\""] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

impl Verdict {
    fn is_admitted(self) -> bool {
        self == Verdict::Admitted
    }
}
