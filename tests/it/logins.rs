//! Hundreds of wrong logins: they hold up neither those who have logged in before, nor new logins from other addresses, nor the
//! runtime.
//!
//! A guess at the slow hash takes some seconds, and all others in the queue together half a minute: no speed is asserted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Builder, Server};
use socket2::{Domain, Socket, Type};
use tokio::sync::oneshot;

use crate::support::client::{Answer, Client, PATIENCE, ask_and_be_heard, basic, get, wait_for};
use crate::support::log::Log;
use crate::support::server::patient;

/// Both of cost 10, by crypt_blowfish's tests and by OpenBSD's.
const ALICE: (&str, &str, &str) =
    ("alice", "fakepassword", "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi");
const BOB: (&str, &str, &str) =
    ("bob", "allmine", "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga");
/// About a second: long beside nine requests, and short beside a client's patience on a busy machine.
const SLOW: (&str, &str) = ("slowpoke", "$2b$14$XajjQvNhvvRt5GSeFk1xFe5l47dONXg781AmZtd869sO8zfsHuw7C");

const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const YONDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// A server on a runtime of one thread.
struct Served {
    addr: SocketAddr,
    log: Log,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Served {
    fn start(options: impl FnOnce(Builder) -> Builder) -> Self {
        let builder =
            options(Server::builder().registry(&Registry::new()).drain_timeout(Duration::from_millis(1)));
        let server = builder.listen((HERE, 0)).bind().unwrap();
        let addr = server.local_addr().unwrap();
        let (stop, stopping) = oneshot::channel::<()>();
        let log = Log::default();
        log.follow(addr);
        let of_thread = log.clone();
        let thread = thread::spawn(move || {
            of_thread.capture(|| {
                crate::support::runtime::current_thread()
                    .block_on(server.serve(async { drop(stopping.await) }))
                    .unwrap()
            })
        });
        Served { addr, log, stop, thread }
    }

    /// Stops it, which waits for no guess; the log has none of these.
    fn end(self, secrets: &[String]) {
        let Served { addr: _, log, stop, thread } = self;
        stop.send(()).unwrap();
        wait_for("the stop", || thread.is_finished());
        thread.join().unwrap();
        let log = log.text();
        assert!(log.contains("request rejected"), "the log is elsewhere: {log}");
        for secret in secrets {
            assert!(!log.contains(secret.as_str()), "{secret:?} is in the log: {log}");
        }
    }
}

fn connect(from: Ipv4Addr, addr: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(IpAddr::V4(from), 0).into()).unwrap();
    socket.connect_timeout(&addr.into(), PATIENCE).unwrap();
    Client::from(TcpStream::from(socket))
}

fn encoded(user: &str, password: &str) -> String {
    STANDARD.encode(format!("{user}:{password}"))
}

fn request(user: &str, password: &str) -> String {
    let authorization = basic(&format!("{user}:{password}"));
    format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{authorization}Connection: close\r\n\r\n")
}

/// One login on a connection of its own.
fn login(from: Ipv4Addr, addr: SocketAddr, user: &str, password: &str) -> Answer {
    let mut client = connect(from, addr);
    client.send(request(user, password));
    client.answer(false)
}

/// One that is right.
fn right_login(from: Ipv4Addr, addr: SocketAddr, (user, password, _): (&str, &str, &str)) -> Answer {
    let answer = login(from, addr, user, password);
    assert_eq!(answer.status, 200, "{user} from {from}: {answer:?}");
    answer
}

/// How many were denied, for a wrong password, for the address' failures, for want of a place.
fn denied(answer: &Answer) -> [f64; 3] {
    ["wrong_credentials", "failures", "logins"].map(|reason| {
        let series = format!("prometheus_exporter_denied_total{{reason=\"{reason}\"}}");
        answer.sample(&series).unwrap_or_else(|| panic!("no {series}: {}", answer.body))
    })
}

fn assert_says_when(answer: &Answer) {
    let after: Option<u64> = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
    assert!(answer.status == 429 && after.is_some_and(|seconds| (1..=60).contains(&seconds)), "{answer:?}");
}

#[test]
fn three_hundred_wrong_logins_delay_no_right_one() {
    const GUESSES: usize = 300;
    let served = Served::start(|builder| {
        let builder = builder.basic_auth(ALICE.0, ALICE.2).basic_auth(BOB.0, BOB.2);
        patient(builder.max_connections(2 * GUESSES))
    });
    let addr = served.addr;
    right_login(HERE, addr, ALICE);

    let begin = Instant::now();
    let mut secrets = Vec::new();
    let mut guesses: Vec<(Client, String)> = (0..GUESSES)
        .map(|guess| {
            // Those who are known and one who is not, each with another password.
            let user = ["alice", "bob", "mallory"][guess % 3];
            let password = format!("wrong-secret-{guess}");
            secrets.extend([password.clone(), encoded(user, &password)]);
            (connect(HERE, addr), request(user, &password))
        })
        .collect();
    let (first, rest) = guesses.split_at_mut(GUESSES / 2);
    first.iter_mut().for_each(|(client, request)| client.send(request));
    // In their midst: one that was right before, the same from elsewhere, and one that is new, from elsewhere.
    let mut rightful =
        [(HERE, ALICE), (THERE, ALICE), (YONDER, BOB)].map(|(from, user)| (from, user, connect(from, addr)));
    rightful.iter_mut().for_each(|(_, (user, password, _), client)| client.send(request(user, password)));
    rest.iter_mut().for_each(|(client, request)| client.send(request));
    for (from, (user, ..), client) in &mut rightful {
        let answer = client.answer(false);
        assert_eq!(answer.status, 200, "{user} from {from}: {answer:?}");
    }

    let (mut unauthorized, mut too_many) = (0_u32, 0_u32);
    for (mut client, _) in guesses {
        let answer = client.answer(false);
        match answer.status {
            401 => {
                assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
                unauthorized += 1;
            }
            _ => {
                assert_says_when(&answer);
                too_many += 1;
            }
        }
    }
    let took = begin.elapsed();
    assert_eq!((unauthorized + too_many) as usize, GUESSES);
    // An address has ten at once and one more each six seconds. There were eight places, of which bob took one.
    let most = 10 + u32::try_from(took.as_secs() / 6).unwrap();
    assert!((7..=most).contains(&unauthorized), "{unauthorized} were looked at, of 7 to {most}");

    // Afterwards: who was right is let in, and all is told.
    let answer = right_login(HERE, addr, ALICE);
    let [wrong, failures, logins] = denied(&answer);
    assert_eq!((wrong, failures + logins), (f64::from(unauthorized), f64::from(too_many)));
    right_login(THERE, addr, BOB);
    let answer = login(YONDER, addr, "bob", "wrong-secret");
    assert_eq!(answer.status, 401, "another address has guesses of its own: {answer:?}");

    secrets.extend([ALICE, BOB].iter().flat_map(|(user, password, hash)| {
        [(*user).to_owned(), (*password).to_owned(), (*hash).to_owned(), encoded(user, password)]
    }));
    secrets.extend(["mallory", "wrong-secret"].map(str::to_owned));
    served.end(&secrets);
}

#[test]
fn a_slow_hash_holds_up_new_logins_only_and_no_other_address_for_long() {
    let served = Served::start(|builder| {
        let builder = builder.basic_auth(ALICE.0, ALICE.2).basic_auth(BOB.0, BOB.2);
        // Nobody is to give up before the end.
        patient(builder.basic_auth(SLOW.0, SLOW.1))
    });
    let addr = served.addr;
    right_login(HERE, addr, ALICE);
    let mut slow: Vec<Client> = Vec::new();
    let mut guess = || {
        let authorization = basic(&format!("{}:wrong-secret-{}", SLOW.0, slow.len()));
        slow.push(ask_and_be_heard(addr, "/metrics", &authorization));
    };
    // One is verified, and eight wait.
    (0..9).for_each(|_| guess());
    right_login(HERE, addr, ALICE);
    assert_says_when(&login(HERE, addr, "bob", "wrong-secret"));
    right_login(THERE, addr, ALICE);
    assert_eq!(get(addr, "/-/healthy").status, 200);
    // For one that is new and comes from elsewhere the last of those makes room, and it waits for the first of them only.
    let answer = right_login(THERE, addr, BOB);
    assert_eq!(denied(&answer), [1.0, 0.0, 2.0]);
    let mut evicted = slow.pop().unwrap();
    assert_says_when(&evicted.answer(false));
    assert_eq!(slow.remove(0).answer(false).status, 401);

    let secrets = [SLOW.0, SLOW.1, "wrong-secret", "alice", "bob", ALICE.1, BOB.1];
    served.end(&secrets.map(str::to_owned));
    // The stop has not waited for the last of these.
    assert_eq!(slow.pop().unwrap().closed(), "");
}
