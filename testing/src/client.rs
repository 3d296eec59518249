//! A client that sends given bytes and reads the response.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any wait of a test. A test that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// Bytes read beyond the last response.
    rest: Vec<u8>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Returns the value of the sample with this series.
    pub fn sample(&self, series: &str) -> Option<f64> {
        self.body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }
}

impl From<TcpStream> for Client {
    fn from(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client { stream, rest: Vec::new() }
    }
}

impl Client {
    pub fn connect(addr: SocketAddr) -> Self {
        TcpStream::connect(addr).unwrap().into()
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads one response. `bodiless` is for a response to HEAD.
    pub fn answer(&mut self, bodiless: bool) -> Response {
        let mut answer = self.head();
        if !bodiless {
            answer.body = self.body(&answer);
        }
        answer
    }

    /// Reads the head of a response, and nothing of its body.
    pub fn head(&mut self) -> Response {
        let head_end = loop {
            if let Some(at) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_some();
        };
        let head = String::from_utf8(self.rest.drain(..head_end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { status, head, body: String::new() }
    }

    /// Reads the body that belongs to a head.
    pub fn body(&mut self, head: &Response) -> String {
        String::from_utf8(self.body_bytes(head)).unwrap()
    }

    /// Reads the body as bytes.
    pub fn body_bytes(&mut self, head: &Response) -> Vec<u8> {
        let length = head.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.rest.len() < length {
            self.read_some();
        }
        self.rest.drain(..length).collect()
    }

    /// Waits until the server closes. Returns the bytes that it has sent.
    pub fn closed(&mut self) -> String {
        let mut rest = std::mem::take(&mut self.rest);
        // A reset also closes. Silence does not.
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            assert!(
                !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                "the server does not close"
            );
        }
        String::from_utf8_lossy(&rest).into_owned()
    }

    fn read_some(&mut self) {
        let mut buffer = [0; 16 * 1024];
        let read = loop {
            match self.stream.read(&mut buffer) {
                // The process was stopped and continues: with a timeout, the system does not restart the call.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.unwrap(),
            }
        };
        assert_ne!(read, 0, "closed within a response: {:?}", String::from_utf8_lossy(&self.rest));
        self.rest.extend_from_slice(&buffer[..read]);
    }
}

/// Sends one request on a separate connection.
pub fn get(addr: SocketAddr, path: &str) -> Response {
    let mut client = Client::connect(addr);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    client.answer(false)
}

/// Sends a request, and returns once the server is answering it. Another request precedes it in the same
/// segment. Once its response has come, the server's single thread has also read the second request.
pub fn ask_and_be_heard(addr: SocketAddr, path: &str, headers: &str) -> Client {
    let mut client = Client::connect(addr);
    client.send(format!(
        "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\nGET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"
    ));
    assert_eq!(client.answer(false).status, 200);
    assert_eq!(get(addr, "/-/healthy").status, 200);
    client
}

/// Sends an HTTP/1.0 request, and returns the body of a response with status 200.
pub fn http_get(addr: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {addr}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
        _ => Err(io::Error::other(format!("GET {path}: {answer}"))),
    }
}

/// Polls until the condition holds, or panics.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} does not come");
        thread::sleep(Duration::from_millis(1));
    }
}

pub fn ask(addr: SocketAddr, path: &str, headers: &str) -> Client {
    let mut client = Client::connect(addr);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"));
    client
}
