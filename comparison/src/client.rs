//! A scraper. It speaks HTTP/1.1 by hand on a blocking socket, so its cost is small and the same for all
//! peers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::outcome::Outcome;

pub(crate) struct Client {
    address: SocketAddr,
    patience: Duration,
    connection: Option<TcpStream>,
    /// Bytes read, and the decoded body.
    raw: Vec<u8>,
    buffer: Vec<u8>,
    body: Vec<u8>,
}

/// The headers of a scrape.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Ask {
    /// Text without compression.
    Identity,
    /// Text with gzip.
    Gzip,
    /// The default headers of a current Prometheus.
    Prometheus,
}

pub(crate) struct Response {
    /// From before the request, or before the connection, to the last byte.
    pub(crate) took: Duration,
    pub(crate) gzip: bool,
    /// Whether the connection is still open.
    pub(crate) kept: bool,
}

/// Longer than any scrape takes.
const PATIENCE: Duration = Duration::from_secs(300);

impl Ask {
    /// On a busy machine a million series take longer than Prometheus' default timeout of ten seconds.
    fn headers(self) -> &'static str {
        match self {
            Self::Identity => {
                "Accept: text/plain;version=0.0.4\r\nX-Prometheus-Scrape-Timeout-Seconds: 120\r\n"
            }
            Self::Gzip => {
                "Accept: text/plain;version=0.0.4\r\nAccept-Encoding: gzip\r\n\
                 X-Prometheus-Scrape-Timeout-Seconds: 120\r\n"
            }
            // Prometheus 3.4 and later, without protobuf.
            Self::Prometheus => {
                "User-Agent: Prometheus/3.14.0\r\n\
                 Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n\
                 Accept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n"
            }
        }
    }
}

/// Buffer size of one read.
const BUFFER_SIZE: usize = 256 * 1024;

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            patience: PATIENCE,
            connection: None,
            raw: Vec::new(),
            buffer: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Sets the timeout of connecting, and of each read.
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    pub(crate) fn connect(&mut self) -> Outcome<()> {
        if self.connection.is_none() {
            let connection = TcpStream::connect_timeout(&self.address, self.patience)?;
            connection.set_nodelay(true)?;
            connection.set_read_timeout(Some(self.patience))?;
            self.connection = Some(connection);
        }
        Ok(())
    }

    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Returns whether the server has left the connection open.
    pub(crate) fn is_kept(&self) -> bool {
        let Some(connection) = &self.connection else { return false };
        let peeked = connection.set_nonblocking(true).and_then(|()| connection.peek(&mut [0]));
        matches!(peeked, Err(failure) if failure.kind() == io::ErrorKind::WouldBlock)
    }

    /// Returns the body of the last response, still encoded.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Scrapes on the open connection, or on a new one. A server that closes after each response gets a new
    /// one each time.
    pub(crate) fn scrape(&mut self, ask: Ask) -> Outcome<Response> {
        let start = Instant::now();
        let reused = self.connection.is_some();
        match self.ask(ask, start) {
            // The server may have closed an idle connection. A connection that has returned bytes has failed,
            // so there is no retry.
            Err(_) if reused && self.raw.is_empty() && start.elapsed() < self.patience => {
                self.disconnect();
                self.ask(ask, start)
            }
            answer => answer,
        }
    }

    fn ask(&mut self, ask: Ask, start: Instant) -> Outcome<Response> {
        self.connect()?;
        self.raw.clear();
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n{}\r\n", self.address, ask.headers());
        let mut connection = self.connection.as_ref().ok_or("no connection")?;
        connection.write_all(request.as_bytes())?;
        let end = loop {
            if let Some(at) = find(&self.raw, b"\r\n\r\n") {
                break at + 4;
            }
            if self.fill()? == 0 {
                return Err("connection closed before a response".into());
            }
        };
        let head = Head::read(&self.raw[..end])?;
        if head.chunked {
            self.chunked(end)?;
        } else {
            self.plain(end, head.length)?;
        }
        let took = start.elapsed();
        if !head.keeps {
            self.disconnect();
        }
        Ok(Response { took, gzip: head.gzip, kept: head.keeps })
    }

    /// Reads that many bytes, or until the connection ends.
    fn plain(&mut self, start: usize, length: Option<usize>) -> Outcome<()> {
        let mut connection = self.connection.as_ref().ok_or("no connection")?;
        match length {
            Some(length) => {
                // Clearing the buffer would add to the latency. Bodies mostly have the length of the previous
                // one.
                self.body.resize(length, 0);
                let here = (self.raw.len() - start).min(length);
                self.body[..here].copy_from_slice(&self.raw[start..start + here]);
                connection.read_exact(&mut self.body[here..])?;
            }
            None => {
                self.body.clear();
                self.body.extend_from_slice(&self.raw[start..]);
                connection.read_to_end(&mut self.body)?;
            }
        }
        Ok(())
    }

    fn chunked(&mut self, mut at: usize) -> Outcome<()> {
        self.body.clear();
        loop {
            let line = loop {
                if let Some(end) = find(&self.raw[at..], b"\r\n") {
                    break at + end;
                }
                self.more()?;
            };
            let size = std::str::from_utf8(&self.raw[at..line])?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
            let end = line + 2 + size;
            while self.raw.len() < end + 2 {
                self.more()?;
            }
            if size == 0 {
                return Ok(());
            }
            self.body.extend_from_slice(&self.raw[line + 2..end]);
            at = end + 2;
        }
    }

    fn more(&mut self) -> Outcome<()> {
        if self.fill()? == 0 { Err("connection closed within a response".into()) } else { Ok(()) }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let Some(connection) = &mut self.connection else { return Ok(0) };
        self.buffer.resize(BUFFER_SIZE, 0);
        let read = connection.read(&mut self.buffer)?;
        self.raw.extend_from_slice(&self.buffer[..read]);
        Ok(read)
    }
}

struct Head {
    length: Option<usize>,
    chunked: bool,
    gzip: bool,
    keeps: bool,
}

impl Head {
    fn read(bytes: &[u8]) -> Outcome<Self> {
        let text = std::str::from_utf8(bytes)?.to_ascii_lowercase();
        let mut lines = text.lines();
        let status = lines.next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(format!("status is not 200: {status}").into());
        }
        let mut head =
            Self { length: None, chunked: false, gzip: false, keeps: status.starts_with("http/1.1") };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            match (name, value.trim()) {
                ("content-length", length) => head.length = Some(length.parse()?),
                ("transfer-encoding", coding) => head.chunked = coding == "chunked",
                ("content-encoding", coding) => head.gzip = coding == "gzip",
                ("connection", "close") => head.keeps = false,
                _ => (),
            }
        }
        head.keeps &= head.chunked || head.length.is_some();
        Ok(head)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn reads_responses_in_each_framing() {
        let rows: [(&str, bool); 4] = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
                true,
            ),
            ("HTTP/1.0 200 OK\r\n\r\nhello", false),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", false),
        ];
        for (row, kept) in rows {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = Client::new(listener.local_addr().unwrap());
            let server = thread::spawn(move || {
                let (mut connection, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                assert!(connection.read(&mut request).unwrap() > 0);
                for byte in row.as_bytes() {
                    connection.write_all(&[*byte]).unwrap();
                }
            });
            let answer = client.scrape(Ask::Identity).unwrap();
            assert_eq!((client.body(), answer.kept), (b"hello".as_slice(), kept), "{row}");
            server.join().unwrap();
        }
    }
}
