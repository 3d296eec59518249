//! Without systemd, as without its feature, nobody is told. This keeps its absence out of everything else.

use std::io;

use super::socket::Socket;
use crate::util::io_error;

#[allow(dead_code, reason = "asked for by some features only")]
pub(crate) fn sockets() -> io::Result<Vec<Socket>> {
    Err(io_error::new(io::ErrorKind::Unsupported, "there is no systemd here"))
}

/// Tells nobody anything.
#[derive(Debug)]
pub(crate) struct Notice;

impl Notice {
    pub(crate) fn ready() -> Self {
        Notice
    }

    pub(crate) fn stopping(self) {}
}
