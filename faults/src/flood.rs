//! Many concurrent clients that compete for connections. Each reconnects when it is closed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The behaviour of each client on a connection.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Sent repeatedly, up to [`MOST_SENT`], unless it is sent once. `CLIENT` in it becomes the client's
    /// number.
    pub request: Vec<u8>,
    pub once: bool,
    /// Bytes to read every ten seconds.
    pub reads: usize,
    /// The kernel reads up to this many bytes on behalf of the client.
    pub receive_buffer: u32,
}

impl Manner {
    fn of(&self, client: usize) -> Manner {
        let request = String::from_utf8_lossy(&self.request).replace("CLIENT", &format!("{client:04}"));
        Manner { request: request.into_bytes(), ..self.clone() }
    }
}

/// Bytes of requests on one connection: more than a server takes while it waits for its client to read.
const MOST_SENT: usize = 4 * 1024 * 1024;
const EVERY: Duration = Duration::from_secs(10);

/// Stops when it is dropped.
pub struct Flood {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    connected: Arc<AtomicU64>,
}

impl Flood {
    /// Starts that many clients. Each reconnects when it is closed.
    pub fn of_clients(clients: usize, addr: SocketAddr, manner: &Manner) -> io::Result<Flood> {
        let manner = manner.clone();
        Flood::start(move |connected| async move {
            for client in 0..clients {
                let (manner, connected) = (Arc::new(manner.of(client)), Arc::clone(&connected));
                tokio::spawn(async move {
                    loop {
                        let _ = visit(addr, &manner, &connected).await;
                        // Bounds the loop if connecting fails at once.
                        sleep(Duration::from_millis(1)).await;
                    }
                });
            }
            std::future::pending().await
        })
    }

    /// Opens that many new connections a second. Each sends this and waits until it is closed.
    pub fn of_newcomers(a_second: u64, addr: SocketAddr, sent: Vec<u8>) -> io::Result<Flood> {
        let manner = Arc::new(Manner { request: sent, once: true, reads: 0, receive_buffer: 64 * 1024 });
        Flood::start(move |connected| async move {
            let start = Instant::now();
            let mut come = 0;
            loop {
                let due = start.elapsed().as_millis() as u64 * a_second / 1000;
                // Missed connections are not all made up at once.
                come = come.max(due.saturating_sub(50));
                while come < due {
                    come += 1;
                    let (manner, connected) = (Arc::clone(&manner), Arc::clone(&connected));
                    tokio::spawn(async move { drop(visit(addr, &manner, &connected).await) });
                }
                sleep_until(start + Duration::from_millis(1000 * (come + 1) / a_second)).await;
            }
        })
    }

    fn start<F, R>(flood: F) -> io::Result<Flood>
    where
        F: FnOnce(Arc<AtomicU64>) -> R + Send + 'static,
        R: Future<Output = ()>,
    {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let connected = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let counted = Arc::clone(&connected);
        let thread = thread::Builder::new().name("flood".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = flood(counted) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Flood { stop: Some(stop), thread: Some(thread), connected })
    }

    /// Returns the number of connections so far.
    pub fn connected(&self) -> u64 {
        self.connected.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Uses one connection until it is closed.
async fn visit(addr: SocketAddr, manner: &Manner, connected: &AtomicU64) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(manner.receive_buffer)?;
    let mut stream = timeout(EVERY, socket.connect(addr)).await??;
    connected.fetch_add(1, Ordering::Relaxed);
    let mut sent = 0;
    let mut piece = manner.request.clone();
    if manner.once {
        stream.write_all(&piece).await?;
    } else {
        piece = piece.repeat(1 + 4096 / piece.len());
    }
    let mut next_read = Instant::now() + EVERY;
    loop {
        if !manner.once && sent < MOST_SENT {
            // Continues after the bytes that were sent.
            match stream.try_write(&piece[sent % piece.len()..]) {
                Ok(written) => {
                    sent += written;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if manner.reads > 0 && Instant::now() >= next_read {
            next_read += EVERY;
            let mut taken = vec![0; manner.reads];
            let _ = timeout(EVERY / 100, stream.read_exact(&mut taken)).await;
        }
        if is_closed(&stream).await {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Returns whether the server has closed or reset the connection, even with unread bytes in it.
async fn is_closed(stream: &TcpStream) -> bool {
    let ready = timeout(Duration::from_millis(1), stream.ready(Interest::READABLE | Interest::ERROR)).await;
    ready.is_ok_and(|ready| ready.map_or(true, |ready| ready.is_read_closed() || ready.is_error()))
}
