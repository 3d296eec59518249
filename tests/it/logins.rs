//! Tests hundreds of wrong logins. They delay neither repeated logins, nor new logins from other addresses,
//! nor the runtime.
//!
//! Verifying the slow hash takes some seconds, and the whole queue half a minute. The tests assert no speed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Builder, Server};
use socket2::{Domain, Socket, Type};
use tokio::sync::oneshot;

use crate::support::client::{Client, PATIENCE, Response, ask_and_be_heard, basic, get, wait_for};
use crate::support::log::Log;
use crate::support::server::patient;

/// Both have cost 10. They are from the tests of crypt_blowfish and of OpenBSD.
const ALICE: (&str, &str, &str) =
    ("alice", "fakepassword", "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi");
const BOB: (&str, &str, &str) =
    ("bob", "allmine", "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga");
/// Takes about a second. That is long compared with nine requests, and short compared with a client's
/// timeout.
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

    /// Stops the server without waiting for password checks. Checks that the log has no secrets.
    fn end(self, secrets: &[String]) {
        let Served { addr: _, log, stop, thread } = self;
        stop.send(()).unwrap();
        wait_for("the stop", || thread.is_finished());
        thread.join().unwrap();
        let log = log.text();
        assert!(log.contains("request rejected"), "not the server's log: {log}");
        for secret in secrets {
            assert!(!log.contains(secret.as_str()), "{secret:?} is in the log: {log}");
        }
    }
}

fn connect(from: Ipv4Addr, addr: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(IpAddr::V4(from), 0).into()).unwrap();
    socket.connect_timeout(&addr.into(), PATIENCE).unwrap();
    let client = Client::from(TcpStream::from(socket));
    // A slow hash takes long on a busy machine.
    client.stream().set_read_timeout(Some(4 * PATIENCE)).unwrap();
    client
}

fn encoded(user: &str, password: &str) -> String {
    STANDARD.encode(format!("{user}:{password}"))
}

fn request(user: &str, password: &str) -> String {
    let authorization = basic(&format!("{user}:{password}"));
    format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{authorization}Connection: close\r\n\r\n")
}

/// Logs in on a separate connection.
fn login(from: Ipv4Addr, addr: SocketAddr, user: &str, password: &str) -> Response {
    let mut client = connect(from, addr);
    client.send(request(user, password));
    client.answer(false)
}

/// Logs in with the right password.
fn correct_login(from: Ipv4Addr, addr: SocketAddr, (user, password, _): (&str, &str, &str)) -> Response {
    let answer = login(from, addr, user, password);
    assert_eq!(answer.status, 200, "{user} from {from}: {answer:?}");
    answer
}

/// Returns how many logins were rejected: a wrong password, too many failures, a full queue.
fn rejected(answer: &Response) -> [f64; 3] {
    ["wrong_credentials", "failures", "logins"].map(|reason| {
        let series = format!("prometheus_exporter_denied_total{{reason=\"{reason}\"}}");
        answer.sample(&series).unwrap_or_else(|| panic!("no {series}: {}", answer.body))
    })
}

fn assert_has_retry_after(answer: &Response) {
    let after: Option<u64> = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
    assert!(answer.status == 429 && after.is_some_and(|seconds| (1..=60).contains(&seconds)), "{answer:?}");
}

#[test]
fn three_hundred_wrong_logins_delay_no_correct_one() {
    const GUESSES: usize = 300;
    let served = Served::start(|builder| {
        let builder = builder.basic_auth(ALICE.0, ALICE.2).basic_auth(BOB.0, BOB.2);
        patient(builder.max_connections(2 * GUESSES))
    });
    let addr = served.addr;
    correct_login(HERE, addr, ALICE);

    let begin = Instant::now();
    let mut secrets = Vec::new();
    let mut guesses: Vec<(Client, String)> = (0..GUESSES)
        .map(|guess| {
            // Two known users and an unknown one, each time with another password.
            let user = ["alice", "bob", "mallory"][guess % 3];
            let password = format!("wrong-secret-{guess}");
            secrets.extend([password.clone(), encoded(user, &password)]);
            (connect(HERE, addr), request(user, &password))
        })
        .collect();
    let (first, rest) = guesses.split_at_mut(GUESSES / 2);
    first.iter_mut().for_each(|(client, request)| client.send(request));
    // Among the wrong logins: a repeated login, the same from another address, and a new one from a third
    // address.
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
                assert_has_retry_after(&answer);
                too_many += 1;
            }
        }
    }
    let took = begin.elapsed();
    assert_eq!((unauthorized + too_many) as usize, GUESSES);
    // An address may fail ten times, and once more each six seconds. The queue has eight entries, and one was
    // bob's.
    let most = 10 + u32::try_from(took.as_secs() / 6).unwrap();
    assert!((7..=most).contains(&unauthorized), "{unauthorized} were verified, not 7 to {most}");

    // Afterwards, correct logins succeed, and the metrics count every rejection.
    let answer = correct_login(HERE, addr, ALICE);
    let [wrong, failures, logins] = rejected(&answer);
    assert_eq!((wrong, failures + logins), (f64::from(unauthorized), f64::from(too_many)));
    correct_login(THERE, addr, BOB);
    let answer = login(YONDER, addr, "bob", "wrong-secret");
    assert_eq!(answer.status, 401, "failures count per address: {answer:?}");

    secrets.extend([ALICE, BOB].iter().flat_map(|(user, password, hash)| {
        [(*user).to_owned(), (*password).to_owned(), (*hash).to_owned(), encoded(user, password)]
    }));
    secrets.extend(["mallory", "wrong-secret"].map(str::to_owned));
    served.end(&secrets);
}

#[test]
fn slow_hash_delays_only_new_logins_of_its_address() {
    let served = Served::start(|builder| {
        let builder = builder.basic_auth(ALICE.0, ALICE.2).basic_auth(BOB.0, BOB.2);
        // No client gives up before the end.
        patient(builder.basic_auth(SLOW.0, SLOW.1))
    });
    let addr = served.addr;
    correct_login(HERE, addr, ALICE);
    let guess = |number: usize| {
        let authorization = basic(&format!("{}:wrong-secret-{number}", SLOW.0));
        ask_and_be_heard(addr, "/metrics", &authorization)
    };
    // One is being verified, and eight wait. Until the thread has taken the first one, the ninth is rejected.
    let mut slow: Vec<Client> = (0..8).map(guess).collect();
    let mut rejected_before = 0.0;
    wait_for("the verification of the first", || {
        let ninth = guess(8);
        let before = std::mem::replace(&mut rejected_before, rejected(&correct_login(HERE, addr, ALICE))[2]);
        let is_accepted = rejected_before == before;
        if is_accepted {
            slow.push(ninth);
        }
        is_accepted
    });
    correct_login(HERE, addr, ALICE);
    assert_has_retry_after(&login(HERE, addr, "bob", "wrong-secret"));
    correct_login(THERE, addr, ALICE);
    assert_eq!(get(addr, "/-/healthy").status, 200);
    // The new login from another address evicts the last of these. It waits only for the first.
    let answer = correct_login(THERE, addr, BOB);
    assert_eq!(rejected(&answer), [1.0, 0.0, 2.0 + rejected_before]);
    let mut evicted = slow.pop().unwrap();
    assert_has_retry_after(&evicted.answer(false));
    assert_eq!(slow.remove(0).answer(false).status, 401);

    let secrets = [SLOW.0, SLOW.1, "wrong-secret", "alice", "bob", ALICE.1, BOB.1];
    served.end(&secrets.map(str::to_owned));
    // The stop has not waited for the last of these.
    assert_eq!(slow.pop().unwrap().closed(), "");
}
