//! The log of a test's thread and of its server, as text.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Once};
use std::thread;

use prometheus_hyper::Builder;
use tracing_subscriber::fmt::MakeWriter;

use super::client::wait_for;
use super::runtime::current_thread;

/// The log as text.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

thread_local! {
    /// The log that receives the lines of this thread.
    static OF_THIS_THREAD: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// The logs that receive the lines of other threads, by thread name.
static OF_OTHERS: Mutex<BTreeMap<String, Log>> = Mutex::new(BTreeMap::new());

impl Log {
    /// Captures also the lines of the server at this address. The names of its threads contain the port.
    pub(crate) fn follow(&self, server: SocketAddr) {
        self.follow_threads(&format!("prometheus-hyper-{}", server.port()));
    }

    /// Captures also the lines of the threads with this name.
    pub(crate) fn follow_threads(&self, name: &str) {
        OF_OTHERS.lock().unwrap().insert(name.to_owned(), self.clone());
    }

    fn of_this_thread() -> Log {
        OF_THIS_THREAD.with_borrow(Clone::clone).unwrap_or_else(|| {
            let of_others = OF_OTHERS.lock().unwrap();
            let of_other = thread::current().name().and_then(|name| of_others.get(name).cloned());
            of_other.unwrap_or_default()
        })
    }

    /// Captures the lines that this thread logs during `run`.
    ///
    /// One subscriber serves the whole process. `tracing` caches whether any subscriber wants a line. With
    /// one subscriber a thread, tests would disable one another's lines.
    pub(crate) fn capture<R>(&self, run: impl FnOnce() -> R) -> R {
        static SUBSCRIBED: Once = Once::new();
        SUBSCRIBED.call_once(|| {
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_ansi(false)
                .with_writer(Log::of_this_thread);
            tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
            // Another test's thread may have reached a line before the subscriber was set. `tracing` would
            // cache that no subscriber wants it.
            tracing::callsite::rebuild_interest_cache();
        });
        let before = OF_THIS_THREAD.replace(Some(self.clone()));
        let result = run();
        OF_THIS_THREAD.set(before);
        result
    }

    /// Returns the lines that contain this word.
    pub(crate) fn lines_with(&self, word: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Log;
    fn make_writer(&'w self) -> Log {
        self.clone()
    }
}

/// Serves during `client`, and returns the log of this thread and of the server.
pub(crate) fn logged(builder: Builder, client: impl FnOnce(SocketAddr) + Send) -> String {
    let log = Log::default();
    logged_to(&log, builder, client);
    log.text()
}

/// As [`logged`], with a client that reads the log meanwhile.
pub(crate) fn logged_to(log: &Log, builder: Builder, client: impl FnOnce(SocketAddr) + Send) {
    log.capture(|| {
        let server = builder.listen("127.0.0.1:0").bind().unwrap();
        let addr = server.local_addr().unwrap();
        log.follow(addr);
        let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                // Dropping it stops the server, even if the client panics.
                let _stop = stop;
                // The sockets are open before the first line, so the client could otherwise cause an earlier one.
                wait_for("the line of the start", || !log.lines_with("serving metrics").is_empty());
                client(addr);
            });
            current_thread().block_on(server.serve(async { drop(stopping.await) })).unwrap();
        });
    });
}
