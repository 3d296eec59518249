//! A client that sends what it is told to, byte for byte, and reads what comes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Far beyond whatever a test waits for: where it is reached, the test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    /// What was read beyond the last answer.
    rest: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The value of the sample that stands before the blank.
    pub(crate) fn sample(&self, series: &str) -> Option<f64> {
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
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        TcpStream::connect(addr).unwrap().into()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads one answer; `bodiless` for those to HEAD.
    pub(crate) fn answer(&mut self, bodiless: bool) -> Answer {
        let mut answer = self.head();
        if !bodiless {
            answer.body = self.body(&answer);
        }
        answer
    }

    /// Reads the head of an answer, and nothing of its body.
    pub(crate) fn head(&mut self) -> Answer {
        let head_end = loop {
            if let Some(at) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_some();
        };
        let head = String::from_utf8(self.rest.drain(..head_end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: String::new() }
    }

    /// Reads the body that belongs to a head.
    pub(crate) fn body(&mut self, head: &Answer) -> String {
        String::from_utf8(self.body_bytes(head)).unwrap()
    }

    /// The same, whatever it is.
    pub(crate) fn body_bytes(&mut self, head: &Answer) -> Vec<u8> {
        let length = head.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.rest.len() < length {
            self.read_some();
        }
        self.rest.drain(..length).collect()
    }

    /// Waits until the server has closed, and returns what it has sent until then.
    pub(crate) fn closed(&mut self) -> String {
        let mut rest = std::mem::take(&mut self.rest);
        // A reset closes, too; silence does not.
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            assert!(
                !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                "it is never closed"
            );
        }
        String::from_utf8_lossy(&rest).into_owned()
    }

    fn read_some(&mut self) {
        let mut buffer = [0; 16 * 1024];
        let read = self.stream.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "closed amid an answer: {:?}", String::from_utf8_lossy(&self.rest));
        self.rest.extend_from_slice(&buffer[..read]);
    }
}

/// One request on a connection of its own.
pub(crate) fn get(addr: SocketAddr, path: &str) -> Answer {
    let mut client = Client::connect(addr);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    client.answer(false)
}

/// Asks, and comes back when the request is being answered: the answer to another one in front of it, in one piece with
/// it, has come, and the server, which has one thread, has then turned to somebody else.
pub(crate) fn ask_and_be_heard(addr: SocketAddr, path: &str, headers: &str) -> Client {
    let mut client = Client::connect(addr);
    client.send(format!(
        "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\nGET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"
    ));
    assert_eq!(client.answer(false).status, 200);
    assert_eq!(get(addr, "/-/healthy").status, 200);
    client
}

/// The header of a request by a user with a password, which a colon parts.
#[cfg(feature = "auth")]
pub(crate) fn basic(credentials: &str) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
    format!("Authorization: Basic {encoded}\r\n")
}
