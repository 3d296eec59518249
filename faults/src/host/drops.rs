//! Drops a guard everywhere where a program may drop it, and times each drop.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Guard, Server};
use serde_json::{Map, Value};
use tokio::runtime::{self, Runtime};

/// Returns the microseconds of each.
pub fn all(registry: &Registry) -> Result<Value, String> {
    let mut times = Map::new();
    let mut timed = |place: &str, what: &(dyn Fn(Guard) -> Duration + Sync)| -> Result<(), String> {
        let guard = start(registry)?;
        let closed = guard.cancellation_token();
        // A new thread, because this one has entered the host program's runtime.
        let time = thread::scope(|scope| scope.spawn(|| what(guard)).join())
            .map_err(|_| format!("{place}: panicked"))?;
        if !closed.is_cancelled() {
            return Err(format!("{place}: the server still runs"));
        }
        times.insert(place.to_owned(), Value::from(time.as_micros() as u64));
        Ok(())
    };
    timed("in synchronous code", &drop_timed)?;
    timed("on a current-thread runtime", &|guard| runtime_of_one().block_on(async { drop_timed(guard) }))?;
    timed("on a multi-thread runtime", &|guard| {
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(async { tokio::spawn(async { drop_timed(guard) }).await.expect("no panic") })
    })?;
    timed("after the end of the runtime", &|guard| {
        drop(runtime_of_one());
        drop_timed(guard)
    })?;
    timed("when a runtime is dropped", &|guard| {
        let runtime = runtime_of_one();
        runtime.spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        runtime.block_on(tokio::task::yield_now());
        let start = Instant::now();
        drop(runtime);
        start.elapsed()
    })?;
    timed("while unwinding", &|guard| {
        let (sender, times) = mpsc::channel();
        let unwound = panic::catch_unwind(AssertUnwindSafe(move || {
            // Printing the panic's message does not count.
            let _guard = Timed(Some(guard), sender);
            panic!("told to");
        }));
        assert!(unwound.is_err());
        times.recv().expect("the guard was dropped")
    })?;
    timed("in a thread-local's destructor", &|guard| {
        thread_local!(static HELD: RefCell<Option<Guard>> = const { RefCell::new(None) });
        let start = Instant::now();
        let thread = thread::spawn(|| HELD.with(|held| *held.borrow_mut() = Some(guard)));
        thread.join().expect("no panic");
        start.elapsed()
    })?;
    timed("forgotten, and stopped by its token", &|guard| {
        let token = guard.cancellation_token();
        guard.detach();
        let start = Instant::now();
        token.cancel();
        start.elapsed()
    })?;
    Ok(Value::Object(times))
}

struct Timed(Option<Guard>, mpsc::Sender<Duration>);

impl Drop for Timed {
    fn drop(&mut self) {
        let start = Instant::now();
        drop(self.0.take());
        let _ = self.1.send(start.elapsed());
    }
}

fn start(registry: &Registry) -> Result<Guard, String> {
    let server = Server::builder().registry(registry).listen("127.0.0.1:0").bind();
    server.and_then(Server::start).map_err(|error| error.to_string())
}

fn drop_timed(guard: Guard) -> Duration {
    let start = Instant::now();
    drop(guard);
    start.elapsed()
}

fn runtime_of_one() -> Runtime {
    runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
