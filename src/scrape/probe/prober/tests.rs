//! A probe whose client gives up.

use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;

use prometheus::Registry;
use testing::collectors::OnDrop;

use super::*;
use crate::exposition::compress::Coding;
use crate::exposition::encode::FALLBACK;
use crate::exposition::filter::Names;

const PATIENCE: Duration = Duration::from_secs(60);

/// A collector whose drop hangs would block all connections.
#[test]
fn the_thread_of_connections_never_drops_a_registry() {
    let (tell, told) = mpsc::channel();
    let probe = move |_| {
        let tell = tell.clone();
        let dropped = OnDrop::new(move || tell.send(thread::current().id()).unwrap());
        async move {
            let registry = Registry::new();
            registry.register(Box::new(dropped))?;
            Ok(registry)
        }
    };
    let prober =
        Prober::new(vec![ProbePath::new("/probe".to_owned(), probe)], 1, false, Arc::new(Telemetry::new()));
    let host = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _context = host.enter();
    let representation =
        Representation { format: FALLBACK, coding: Coding::Identity, names: Names::default() };
    let request = prober.request(Parameters::default(), Instant::now() + PATIENCE);
    {
        let mut probe = pin!(prober.probe(0, request, representation, host.handle()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(probe.as_mut().poll(&mut context).is_pending());
        // The probe completes on another thread, and its client gives up before the connection is polled.
        let completed = async {
            while host.metrics().num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        };
        thread::scope(|scope| scope.spawn(|| host.block_on(completed)).join()).unwrap();
    }
    assert_ne!(told.recv_timeout(PATIENCE).unwrap(), thread::current().id());
}
