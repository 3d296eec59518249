//! Unix sockets: a file whose mode says who may connect.

use std::fs::{self, Permissions};
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use socket2::{Domain, SockAddr, Type};

use super::socket::{Accept, Address, Socket};
use crate::net::stream::{Io, Stream};
use crate::util::io_error;

/// As std listens.
const BACKLOG: i32 = 128;

/// Makes the file, with this mode, and listens. A socket that nobody answers on is replaced; any other file is left alone.
pub(crate) fn bind(path: &Path, mode: u32) -> io::Result<Socket> {
    make(path, mode)
        .map_err(|error| io_error::annotated(error, format_args!("cannot listen on {}", path.display())))
}

/// Listens on a socket that exists. Its file is left alone.
pub(crate) fn from_std(listener: UnixListener) -> io::Result<Socket> {
    listener.set_nonblocking(true)?;
    let path = listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
    Ok(socket(path, Owned { _file: None, listener }))
}

/// A listener and the file that was made for it, which is removed first: see [`SocketFile`].
struct Owned<L> {
    _file: Option<SocketFile>,
    listener: L,
}

fn socket(path: Option<PathBuf>, owned: Owned<UnixListener>) -> Socket {
    Socket::new(Address::Unix(path), || {
        let Owned { _file, listener } = { owned };
        Ok(Box::new(Owned { _file, listener: tokio::net::UnixListener::from_std(listener)? }))
    })
}

impl Accept for Owned<tokio::net::UnixListener> {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<IpAddr>)>> {
        self.listener.poll_accept(cx).map_ok(|(stream, _)| (Box::new(stream) as Stream, None))
    }
}

/// What its client has not taken is dropped with it.
impl Io for tokio::net::UnixStream {}

/// A socket's file; its drop removes it, if it is that one still.
///
/// It goes before the socket is closed: until then the kernel keeps the inode, so no other file has its number.
#[derive(Debug)]
struct SocketFile {
    /// Absolute, because the host may change its directory.
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // Where this fails, the next start finds a socket that nobody answers on.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Which file it is, if it is one.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn make(path: &Path, mode: u32) -> io::Result<Socket> {
    let address = SockAddr::unix(path)?;
    if let Some(stale) = stale(path, &address)? {
        // Another server may have replaced it meanwhile, or removed it.
        if identity(path) == Some(stale) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    let listener = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    listener.set_nonblocking(true)?;
    listener.bind(&address)?;
    let absolute = std::path::absolute(path)?;
    // The mode goes by the path, and follows links. A program that may write to the directory can still win the race between
    // these two: no call of std's sets the mode of a link.
    let made = fs::symlink_metadata(path)?;
    if !made.file_type().is_socket() {
        return Err(io_error::new(io::ErrorKind::AlreadyExists, "another file has taken the socket's place"));
    }
    let file = SocketFile { identity: Some((made.dev(), made.ino())), path: absolute };
    // Before it listens, so that no client connects with the mode that the umask has left.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    listener.listen(BACKLOG)?;
    let listener = UnixListener::from(OwnedFd::from(listener));
    Ok(socket(Some(path.to_owned()), Owned { _file: Some(file), listener }))
}

/// Returns which file is a socket that nobody answers on. None if there is no file, an error if it is to be left alone.
///
/// Two servers that start at the same moment may both replace a stale socket, and the last one keeps the path. A lock would
/// have to be waited for, which `bind` must not do on a runtime's thread.
fn stale(path: &Path, address: &SockAddr) -> io::Result<Option<(u64, u64)>> {
    let found = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => (metadata.dev(), metadata.ino()),
        Ok(_) => {
            return Err(io_error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let client = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One whose backlog is full would keep us waiting, and is one that is served.
    client.set_nonblocking(true)?;
    match client.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Err(io_error::new(io::ErrorKind::AddrInUse, "somebody answers on this socket")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::scratch::Scratch;

    /// What a killed server has left, for std removes no file. Not at once: a process that another test spawns has a copy of
    /// the socket between fork and exec.
    fn left(path: &Path) {
        drop(UnixListener::bind(path).unwrap());
        while UnixStream::connect(path).is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn the_file_has_its_mode_and_goes_with_the_socket() {
        let folder = Scratch::new("mode");
        let path = folder.0.join("s");
        for mode in [0o660, 0o600, 0o666] {
            let socket = bind(&path, mode).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
            assert_eq!(*socket.address(), Address::Unix(Some(path.clone())));
            UnixStream::connect(&path).unwrap();
            drop(socket);
            assert!(!path.exists(), "{mode:o}");
        }
    }

    #[test]
    fn a_socket_is_replaced_if_nobody_answers_on_it() {
        let folder = Scratch::new("stale");
        let path = folder.0.join("s");
        left(&path);
        let socket = bind(&path, 0o660).unwrap();
        UnixStream::connect(&path).unwrap();

        let error = bind(&path, 0o660).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        UnixStream::connect(&path).unwrap();
        drop(socket);
    }

    #[test]
    fn one_with_a_full_backlog_is_served_and_does_not_keep_us_waiting() {
        let folder = Scratch::new("full");
        let path = folder.0.join("s");
        let busy = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        busy.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        busy.listen(0).unwrap();
        let _waits = UnixStream::connect(&path).unwrap();
        assert_eq!(bind(&path, 0o660).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn any_other_file_is_left_alone() {
        let folder = Scratch::new("other");
        let (file, link, missing) = (folder.0.join("f"), folder.0.join("l"), folder.0.join("m/s"));
        fs::write(&file, "mine").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for (path, kind) in [
            (&file, io::ErrorKind::AlreadyExists),
            (&folder.0, io::ErrorKind::AlreadyExists),
            (&link, io::ErrorKind::AlreadyExists),
            (&missing, io::ErrorKind::NotFound),
            (&PathBuf::from("/tmp/\0"), io::ErrorKind::InvalidInput),
            (&folder.0.join("x".repeat(200)), io::ErrorKind::InvalidInput),
        ] {
            let error = bind(path, 0o660).unwrap_err();
            assert_eq!(error.kind(), kind, "{path:?}: {error}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn another_ones_file_is_not_removed() {
        let folder = Scratch::new("another");
        let path = folder.0.join("s");
        let socket = bind(&path, 0o660).unwrap();
        fs::remove_file(&path).unwrap();
        let other = bind(&path, 0o660).unwrap();
        drop(socket);
        UnixStream::connect(&path).unwrap();
        drop(other);
        assert!(!path.exists());
    }
}
