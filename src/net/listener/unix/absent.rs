//! Where there are no Unix sockets. This keeps their absence out of everything else.

use std::io;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use crate::net::stream::Stream;
use crate::util::io_error;

/// There is none.
#[derive(Debug)]
pub(crate) enum UnixSocket {}

#[derive(Debug)]
pub(super) enum Listening {}

impl UnixSocket {
    pub(crate) fn bind(path: &Path, _: u32) -> io::Result<UnixSocket> {
        let sentence = format!("cannot listen on {}: there are no Unix sockets here", path.display());
        Err(io_error::new(io::ErrorKind::Unsupported, sentence))
    }

    pub(crate) fn path(&self) -> Option<PathBuf> {
        match *self {}
    }

    pub(super) fn enter(self) -> io::Result<Listening> {
        match self {}
    }
}

impl Listening {
    pub(super) fn poll_accept(&self, _: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        match *self {}
    }
}
