//! A blocking, strict client. It accepts only complete responses, and counts them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_hyper::rustls::{self, ClientConfig, ClientConnection};

pub const GET: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    pub took: Duration,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (header, value) = line.split_once(':')?;
            header.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection that may be kept.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    buffer: Vec<u8>,
}

impl Connection {
    pub fn open(addr: SocketAddr, limit: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, limit)?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, tls: None, buffer: Vec::new() })
    }

    /// The first request performs the handshake.
    pub fn open_tls(addr: SocketAddr, config: &Arc<ClientConfig>, limit: Duration) -> io::Result<Self> {
        let name = "localhost".try_into().map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Connection { tls: Some(Box::new(tls)), ..Connection::open(addr, limit)? })
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends a request and reads one complete response.
    pub fn ask(&mut self, request: &[u8], limit: Duration) -> io::Result<Response> {
        let start = Instant::now();
        self.stream.set_write_timeout(Some(limit))?;
        self.stream.set_read_timeout(Some(limit))?;
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.stream).write_all(request)?,
            None => self.stream.write_all(request)?,
        }
        let (status, head) = self.read_head(start, limit)?;
        let answer = Response { status, head, body: Vec::new(), took: Duration::ZERO };
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        let length: usize = length.ok_or_else(|| io::Error::other("a response without a length"))?;
        while self.buffer.len() < length {
            self.more(start, limit)?;
        }
        let body = self.buffer.drain(..length).collect();
        Ok(Response { body, took: start.elapsed(), ..answer })
    }

    fn read_head(&mut self, start: Instant, limit: Duration) -> io::Result<(u16, String)> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 4);
                let status = head.get(9..12).and_then(|status| status.parse().ok());
                let status = status.ok_or_else(|| io::Error::other(format!("no status: {head:?}")))?;
                return Ok((status, head));
            }
            self.more(start, limit)?;
        }
    }

    fn more(&mut self, start: Instant, limit: Duration) -> io::Result<()> {
        let left = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero());
        let left = left.ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "no response in time"))?;
        self.stream.set_read_timeout(Some(left))?;
        let mut piece = [0; 64 * 1024];
        let read = match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.stream).read(&mut piece)?,
            None => self.stream.read(&mut piece)?,
        };
        match read {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("closed after {} bytes", self.buffer.len()),
            )),
            read => {
                self.buffer.extend_from_slice(&piece[..read]);
                Ok(())
            }
        }
    }
}

/// Scrapes once on a connection of its own. The limit includes connecting.
pub fn scrape(addr: SocketAddr, limit: Duration) -> io::Result<Response> {
    let start = Instant::now();
    let answer = Connection::open(addr, limit)?.ask(GET.as_bytes(), limit)?;
    Ok(Response { took: start.elapsed(), ..answer })
}

/// Reads until the server closes or resets. Returns the time that took, and the bytes read. Returns None if
/// the server has not closed at `limit`.
pub fn until_closed(stream: &mut TcpStream, limit: Duration) -> io::Result<Option<(Duration, Vec<u8>)>> {
    let start = Instant::now();
    let (mut bytes, mut piece) = (Vec::new(), [0; 64 * 1024]);
    loop {
        let left = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero());
        let Some(left) = left else { return Ok(None) };
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(Some((start.elapsed(), bytes))),
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(Some((start.elapsed(), bytes))),
        }
    }
}
