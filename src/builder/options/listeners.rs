//! Where to listen.

use std::io;

use crate::net::listener::Socket;
use crate::util::io_error;

/// Opens sockets; a Unix socket's file gets this mode.
type Open = dyn FnOnce(u32) -> io::Result<Vec<Socket>> + Send + Sync;

pub(crate) struct Listeners {
    /// Each with the option or flag that it comes from.
    list: Vec<(&'static str, Box<Open>)>,
    pub(crate) unix_socket_mode: u32,
}

impl Listeners {
    pub(crate) fn new(unix_socket_mode: u32) -> Self {
        Listeners { list: Vec::new(), unix_socket_mode }
    }

    pub(crate) fn push(
        &mut self,
        option: &'static str,
        open: impl FnOnce(u32) -> io::Result<Vec<Socket>> + Send + Sync + 'static,
    ) {
        self.list.push((option, Box::new(open)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// An error begins with the option's name.
    pub(crate) fn open(self) -> io::Result<Vec<Socket>> {
        let mut sockets = Vec::new();
        for (option, open) in self.list {
            let opened = open(self.unix_socket_mode);
            sockets.extend(opened.map_err(|error| io_error::annotated(error, option))?);
        }
        Ok(sockets)
    }

    /// The options or flags that they come from.
    pub(crate) fn options(&self) -> impl Iterator<Item = &'static str> {
        self.list.iter().map(|(option, _)| *option)
    }

    #[cfg(feature = "cli")]
    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }
}
