//! A server behind a pipe, with an instance of everything that a request can select.

use std::cell::OnceCell;
use std::time::Duration;

use prometheus_hyper::internals::Wire;
use prometheus_hyper::prometheus::{IntCounter, Registry};
use prometheus_hyper::{ProbeRequest, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

/// Longer than any input takes once the client has closed its side.
const PATIENCE: Duration = Duration::from_secs(10);

/// The size of the pipe. A larger one would hide a client that does not read.
const PIPE: usize = 4096;

struct Served {
    runtime: Runtime,
    wire: Wire,
}

impl Served {
    fn new() -> Served {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let registry = Registry::new();
        let counter = IntCounter::new("requests_total", "Requests.").expect("a valid name");
        registry.register(Box::new(counter)).expect("a new name");
        let server = Server::builder()
            .registry(&registry)
            .openmetrics(true)
            .protobuf(true)
            .listen("127.0.0.1:0")
            .probe("/probe", |probe: ProbeRequest| async move {
                let registry = Registry::new();
                let counter = IntCounter::new(probe.target()?, "The target that the request names.")?;
                registry.register(Box::new(counter))?;
                Ok(registry)
            });
        let wire = runtime.block_on(async { Wire::of(server.bind().expect("a port")) });
        Served { runtime, wire }
    }
}

/// Returns the server's output for these bytes, sent in pieces of these sizes before the client closes its
/// side.
pub(crate) fn exchange(pieces: &[u8], bytes: &[u8]) -> Vec<u8> {
    thread_local!(static SERVED: OnceCell<Served> = const { OnceCell::new() });
    SERVED.with(|served| {
        let Served { runtime, wire } = served.get_or_init(Served::new);
        let (client, server) = tokio::io::duplex(PIPE);
        let (mut reading, mut writing) = tokio::io::split(client);
        let sending = async {
            let mut sizes =
                pieces.iter().map(|&size| usize::from(size).max(1)).chain(std::iter::repeat(PIPE));
            let mut rest = bytes;
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(sizes.next().unwrap_or(PIPE).min(rest.len()));
                // The server may close early.
                if writing.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
                rest = after;
            }
            let _ = writing.shutdown().await;
        };
        let mut heard = Vec::new();
        let all = async {
            let hearing = async { reading.read_to_end(&mut heard).await };
            let (_, _, ()) = tokio::join!(hearing, sending, wire.speak(server));
        };
        runtime.block_on(async { tokio::time::timeout(PATIENCE, all).await.expect("the connection ends") });
        heard
    })
}
