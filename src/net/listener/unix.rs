//! Unix sockets. The mode of the socket's file decides who may connect.

use std::fs::{self, Permissions};
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use socket2::{Domain, SockAddr, Type};

use super::no_signal::NoSignal;
use super::socket::{Accept, Address, Socket};
use crate::net::stream::{Io, Stream};
use crate::util::io_error;

/// std's backlog.
const BACKLOG: i32 = 128;

/// Creates the socket file with this mode, and listens. A stale socket is replaced, any other file is kept.
pub(crate) fn bind(path: &Path, mode: u32) -> io::Result<Socket> {
    make(path, mode)
        .map_err(|error| io_error::annotated(error, format_args!("cannot listen on {}", path.display())))
}

/// Listens on an existing socket, and keeps its file.
pub(crate) fn from_std(listener: UnixListener) -> io::Result<Socket> {
    let path = listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
    Ok(socket(path, Owned { _file: None, listener }))
}

/// A listener and its socket file. The file is dropped first: see [`SocketFile`].
struct Owned<L> {
    _file: Option<SocketFile>,
    listener: L,
}

fn socket(path: Option<PathBuf>, owned: Owned<UnixListener>) -> Socket {
    let enter = || {
        let Owned { _file, listener } = { owned };
        listener.set_nonblocking(true)?;
        Ok(Box::new(Owned { _file, listener: tokio::net::UnixListener::from_std(listener)? }) as _)
    };
    Socket { address: Address::Unix(path), enter: Box::new(enter) }
}

impl Accept for Owned<tokio::net::UnixListener> {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<IpAddr>)>> {
        // As for TCP sockets.
        let _ = socket2::SockRef::from(&self.listener).set_nonblocking(true);
        self.listener.poll_accept(cx).map_ok(|(stream, _)| (Box::new(NoSignal(stream)) as Stream, None))
    }
}

/// Closing a Unix socket discards unread bytes, so no reset is needed.
impl Io for NoSignal<tokio::net::UnixStream> {}

/// The file of a socket, which its drop removes unless another file has replaced it.
///
/// It is removed before the socket closes. Until then the kernel keeps the inode, so no other file can have its
/// number.
#[derive(Debug)]
struct SocketFile {
    /// Absolute, because the host program may change its working directory.
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // If this fails, the next start finds a stale socket and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns the device and inode of the file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn make(path: &Path, mode: u32) -> io::Result<Socket> {
    let address = SockAddr::unix(path)?;
    if let Some(stale) = stale(path, &address)? {
        // Another server may have replaced or removed it meanwhile.
        if identity(path) == Some(stale) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    let listener = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    listener.bind(&address)?;
    let absolute = std::path::absolute(path)?;
    // `set_permissions` takes a path and follows links. A program that may write to the directory can still win the
    // race between these two calls. There is no call in std that sets the mode of a link.
    let made = fs::symlink_metadata(path)?;
    if !made.file_type().is_socket() {
        return Err(io_error::new(io::ErrorKind::AlreadyExists, "another file has replaced the socket"));
    }
    let file = SocketFile { identity: Some((made.dev(), made.ino())), path: absolute };
    // Before `listen`, so that no client connects with the mode that the umask left.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    listener.listen(BACKLOG)?;
    let listener = UnixListener::from(OwnedFd::from(listener));
    Ok(socket(Some(path.to_owned()), Owned { _file: Some(file), listener }))
}

/// Returns the device and inode of a stale socket, on which no process listens. Returns `None` if there is no file,
/// and an error if the file must be kept.
///
/// Two servers that start at the same moment may both replace a stale socket, and the last one keeps the path. A lock
/// would prevent that, but `bind` must not wait on a runtime's thread.
fn stale(path: &Path, address: &SockAddr) -> io::Result<Option<(u64, u64)>> {
    let found = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => (metadata.dev(), metadata.ino()),
        Ok(_) => {
            return Err(io_error::new(io::ErrorKind::AlreadyExists, "a file that is not a socket exists"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let client = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A socket with a full backlog has a server, and a blocking connect would wait for it.
    client.set_nonblocking(true)?;
    match client.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Err(io_error::new(io::ErrorKind::AddrInUse, "another process listens on this socket")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::scratch::Scratch;

    /// Leaves a socket file as a killed server does, because std removes none. A process that another test spawns
    /// holds a copy of the socket between fork and exec, so this waits.
    fn left(path: &Path) {
        drop(UnixListener::bind(path).unwrap());
        while UnixStream::connect(path).is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn creates_the_file_with_its_mode_and_removes_it() {
        let folder = Scratch::new("mode");
        let path = folder.0.join("s");
        for mode in [0o660, 0o600, 0o666] {
            let socket = bind(&path, mode).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
            assert_eq!(socket.address, Address::Unix(Some(path.clone())));
            UnixStream::connect(&path).unwrap();
            drop(socket);
            assert!(!path.exists(), "{mode:o}");
        }
    }

    #[test]
    fn replaces_a_stale_socket_but_no_listening_one() {
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
    fn does_not_wait_for_a_socket_with_a_full_backlog() {
        let folder = Scratch::new("full");
        let path = folder.0.join("s");
        let busy = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        busy.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        busy.listen(0).unwrap();
        let _waits = UnixStream::connect(&path).unwrap();
        assert_eq!(bind(&path, 0o660).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn keeps_files_that_are_not_sockets() {
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
    fn does_not_remove_the_socket_of_another_server() {
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
