//! A relay between a scraper and a server. It records the representation of every response.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::support::client::Client;

/// Stops when dropped. Connections end with the scraper that opened them.
pub(super) struct Relay {
    pub(super) addr: SocketAddr,
    seen: Arc<Mutex<BTreeSet<String>>>,
    stop: Arc<AtomicBool>,
    accepts: Option<JoinHandle<()>>,
}

impl Relay {
    pub(super) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (seen, stop) = (Arc::<Mutex<_>>::default(), Arc::<AtomicBool>::default());
        let accepts = thread::spawn({
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            move || {
                while let Ok((scraper, _)) = listener.accept() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let seen = Arc::clone(&seen);
                    // The scraper may disconnect at any time.
                    thread::spawn(move || _ = pass_on(&scraper, server, &seen));
                }
            }
        });
        Relay { addr, seen, stop, accepts: Some(accepts) }
    }

    /// Each distinct `Content-Type`, followed by `, gzip` if the body was compressed.
    pub(super) fn seen(&self) -> BTreeSet<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Connects to wake the thread. The connection fails if the thread has ended.
        let _ = TcpStream::connect(self.addr);
        if let Some(accepts) = self.accepts.take() {
            let _ = accepts.join();
        }
    }
}

fn pass_on(scraper: &TcpStream, server: SocketAddr, seen: &Mutex<BTreeSet<String>>) -> io::Result<()> {
    let mut upstream = Client::connect(server);
    let mut requests = BufReader::new(scraper);
    let mut request = Vec::new();
    // A GET request ends with its head.
    while requests.read_until(b'\n', &mut request)? > 0 {
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        upstream.send(&request);
        request.clear();
        let head = upstream.head();
        let body = upstream.body_bytes(&head);
        let coding = head.header("content-encoding").map(|coding| format!(", {coding}")).unwrap_or_default();
        let content_type = head.header("content-type").unwrap_or("no Content-Type");
        seen.lock().unwrap().insert(format!("{content_type}{coding}"));
        let mut scraper = scraper;
        scraper.write_all(head.head.as_bytes())?;
        scraper.write_all(&body)?;
    }
    Ok(())
}
