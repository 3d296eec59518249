//! Nobody outside may write the host's log.

use prometheus_hyper::Server;
use prometheus_hyper::prometheus::Registry;

use crate::support::client::{Client, get};
use crate::support::log::logged;

#[test]
fn what_clients_do_wrong_is_a_debug_line_at_most_and_one_line() {
    let log = logged(Server::builder().registry(&Registry::new()).max_connections(2), |addr| {
        for sent in [
            "GET /a%0aERROR HTTP/1.1\r\nHost: x\r\nUser-Agent: a\tERROR forged\r\nConnection: close\r\n\r\n",
            "\x16\x03\x01\r\nERROR forged\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: ERROR forged\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET /metr",
        ] {
            let mut client = Client::connect(addr);
            client.send(sent);
            client.half_close();
            client.closed();
        }
        let _silent: Vec<Client> = (0..20).map(|_| Client::connect(addr)).collect();
        assert_eq!(get(addr, "/-/healthy").status, 200);
    });
    // Whoever writes them.
    let is_below_info = |line: &&str| [" TRACE ", " DEBUG "].iter().any(|level| line.contains(level));
    let (below_info, seen): (Vec<&str>, Vec<&str>) = log.lines().partition(is_below_info);
    assert_eq!(seen.len(), 1, "all but the one of the start: {log}");
    assert!(seen[0].contains("serving metrics"), "{log}");
    assert!(below_info.len() > 1 && !log.contains("forged"), "{log}");
}
