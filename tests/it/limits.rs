//! What clients must not be able to do: hold connections, keep others out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Builder, Guard, Server};

use crate::client::{Client, PATIENCE, get};

const HEALTHY: &str = "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn start(builder: Builder) -> (Guard, SocketAddr) {
    let guard = builder.registry(&Registry::new()).listen("127.0.0.1:0").bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    (guard, addr)
}

#[test]
fn a_head_that_is_not_finished_in_time_ends_its_connection() {
    let (_guard, addr) = start(Server::builder().head_timeout(Duration::from_millis(500)));
    for begun in ["", "GET /metr", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut client = Client::connect(addr);
        client.send(begun);
        let begin = Instant::now();
        assert_eq!(client.closed(), "", "{begun:?}");
        assert!(begin.elapsed() < PATIENCE / 2, "{begun:?}: {:?}", begin.elapsed());
    }
    // Also behind another request, in one piece with it.
    let mut client = Client::connect(addr);
    client.send(format!("{HEALTHY}GET /metr"));
    assert_eq!(client.answer(false).status, 200);
    assert_eq!(client.closed(), "");
}

#[test]
fn an_idle_connection_outlives_the_heads_limit_and_ends_at_its_own() {
    let head = Duration::from_millis(500);
    let (_guard, addr) = start(Server::builder().head_timeout(head).idle_timeout(4 * head));
    let mut client = Client::connect(addr);
    client.send(HEALTHY);
    assert_eq!(client.answer(false).status, 200);
    let begin = Instant::now();
    assert_eq!(client.closed(), "");
    assert!(begin.elapsed() > 2 * head, "{:?}", begin.elapsed());
    assert!(begin.elapsed() < PATIENCE / 2, "{:?}", begin.elapsed());
}

#[test]
fn at_the_cap_the_one_that_has_waited_longest_makes_room() {
    let (_guard, addr) = start(Server::builder().max_connections(2));
    let ask = |client: &mut Client| {
        client.send(HEALTHY);
        assert_eq!(client.answer(false).status, 200);
    };
    let [mut first, mut second, mut third] = [(); 3].map(|()| {
        let mut client = Client::connect(addr);
        ask(&mut client);
        client
    });
    assert_eq!(first.closed(), "");
    ask(&mut second);
    ask(&mut third);
    // Now the second has waited longest.
    ask(&mut Client::connect(addr));
    assert_eq!(second.closed(), "");
    ask(&mut third);
}

#[test]
fn many_silent_sockets_do_not_keep_a_scrape_out() {
    let (_guard, addr) = start(Server::builder().max_connections(8));
    let silent: Vec<Client> = (0..80).map(|_| Client::connect(addr)).collect();
    let begin = Instant::now();
    let answer = get(addr, "/metrics");
    assert_eq!(answer.status, 200);
    assert!(begin.elapsed() < PATIENCE / 2);
    let evicted = answer.sample("prometheus_exporter_errors_total{cause=\"evicted\"}").unwrap();
    assert!(evicted >= 80.0 - 8.0, "{evicted}");
    drop(silent);
}

/// Connections were evicted before their complete requests had been looked at.
#[test]
fn a_burst_of_complete_requests_is_answered_although_it_is_above_the_cap() {
    let (_guard, addr) = start(Server::builder().max_connections(8));
    let mut clients: Vec<Client> = (0..40)
        .map(|_| {
            let mut client = Client::connect(addr);
            client.send("GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            client
        })
        .collect();
    let answers = clients.iter_mut().map(Client::closed);
    let answered = answers.filter(|answer| answer.starts_with("HTTP/1.1 200")).count();
    assert!(answered >= 32, "{answered} of 40");
}
