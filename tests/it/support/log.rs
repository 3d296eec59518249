//! The log of the thread of a test and of a server, as text.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Once};
use std::thread;

use prometheus_hyper::Builder;
use tracing_subscriber::fmt::MakeWriter;

use super::runtime::current_thread;

/// The log, as text.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

thread_local! {
    /// Whose lines these are.
    static OF_THIS_THREAD: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// Whose lines those of a server's threads are, by their name.
static OF_SERVERS: Mutex<BTreeMap<String, Log>> = Mutex::new(BTreeMap::new());

impl Log {
    /// Takes the lines of the threads of a server that listens here, too, which are named by its port.
    pub(crate) fn follow(&self, server: SocketAddr) {
        let name = format!("prometheus-hyper-{}", server.port());
        OF_SERVERS.lock().unwrap().insert(name, self.clone());
    }

    fn of_this_thread() -> Log {
        OF_THIS_THREAD.with_borrow(Clone::clone).unwrap_or_else(|| {
            let of_servers = OF_SERVERS.lock().unwrap();
            let of_server = thread::current().name().and_then(|name| of_servers.get(name).cloned());
            of_server.unwrap_or_default()
        })
    }

    /// Takes the lines that are logged on this thread meanwhile.
    ///
    /// By one subscriber for the process: `tracing` remembers which lines nobody wants, and with a subscriber for each
    /// thread one test's silence is another's.
    pub(crate) fn capture<R>(&self, run: impl FnOnce() -> R) -> R {
        static SUBSCRIBED: Once = Once::new();
        SUBSCRIBED.call_once(|| {
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_ansi(false)
                .with_writer(Log::of_this_thread);
            tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
            // A line that another test's thread came by for the first time between the making of the subscriber and this had
            // been asked for by nobody, and would never be logged.
            tracing::callsite::rebuild_interest_cache();
        });
        let before = OF_THIS_THREAD.replace(Some(self.clone()));
        let result = run();
        OF_THIS_THREAD.set(before);
        result
    }

    /// Those of its lines that have this in them.
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

/// Serves for as long as the client has something to ask, and returns the log of this thread and the server's.
pub(crate) fn logged(builder: Builder, client: impl FnOnce(SocketAddr) + Send) -> String {
    let log = Log::default();
    logged_to(&log, builder, client);
    log.text()
}

/// The same for a client that reads the log meanwhile.
pub(crate) fn logged_to(log: &Log, builder: Builder, client: impl FnOnce(SocketAddr) + Send) {
    log.capture(|| {
        let server = builder.listen("127.0.0.1:0").bind().unwrap();
        let addr = server.local_addr().unwrap();
        log.follow(addr);
        let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                // Its drop is the end, also if the client panics.
                let _stop = stop;
                client(addr);
            });
            current_thread().block_on(server.serve(async { drop(stopping.await) })).unwrap();
        });
    });
}
