//! Unix sockets: a file that others can be let in by, or not.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use socket2::{Domain, SockAddr, Type};

use super::socket::annotated;
use crate::stream::Stream;

/// As std listens.
const BACKLOG: i32 = 128;

/// A Unix socket that listens.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    listener: UnixListener,
    /// That which we made.
    file: Option<SocketFile>,
}

impl UnixSocket {
    /// Makes the file, with this mode. A socket that nobody answers on is replaced; any other file is left alone.
    pub(crate) fn bind(path: &Path, mode: u32) -> io::Result<UnixSocket> {
        let annotated = |error| annotated(&error, format_args!("cannot listen on {}", path.display()));
        remove_stale(path).map_err(annotated)?;
        bind(path, mode).map_err(annotated)
    }

    /// A listener that exists. Its file is its owner's.
    pub(crate) fn of(listener: UnixListener) -> io::Result<UnixSocket> {
        listener.set_nonblocking(true)?;
        Ok(UnixSocket { listener, file: None })
    }

    pub(crate) fn path(&self) -> Option<PathBuf> {
        match &self.file {
            // Absolute or not, as it was given.
            Some(file) => Some(file.path.clone()),
            None => self.listener.local_addr().ok()?.as_pathname().map(Path::to_owned),
        }
    }

    /// Takes it onto the current runtime.
    pub(super) fn enter(self) -> io::Result<Listening> {
        let listener = tokio::net::UnixListener::from_std(self.listener)?;
        Ok(Listening { listener, _file: self.file })
    }
}

/// The same on a runtime.
#[derive(Debug)]
pub(super) struct Listening {
    /// Closed first.
    listener: tokio::net::UnixListener,
    _file: Option<SocketFile>,
}

impl Listening {
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        self.listener.poll_accept(cx).map_ok(|(stream, _)| Box::new(stream) as Stream)
    }
}

/// A socket's file; its drop removes it, if it is that one still.
#[derive(Debug)]
struct SocketFile {
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

fn remove_stale(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    let probe = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One whose backlog is full would keep us waiting, and is one that is served.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        _ => return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody answers on this socket")),
    }
    // Another one that starts just now may have replaced it.
    if identity(path) == Some((metadata.dev(), metadata.ino())) {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn bind(path: &Path, mode: u32) -> io::Result<UnixSocket> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(path) };
    // Before it listens: nobody gets in by what the umask has left.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(UnixSocket { listener: UnixListener::from(std::os::fd::OwnedFd::from(socket)), file: Some(file) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A folder of its own, gone after the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("prometheus-hyper-{name}-{}", std::process::id()));
            fs::create_dir(&folder).unwrap();
            Folder(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_file_has_its_mode_and_goes_with_the_socket() {
        let folder = Folder::new("mode");
        let path = folder.0.join("s");
        for mode in [0o660, 0o600, 0o666] {
            let socket = UnixSocket::bind(&path, mode).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
            assert_eq!(socket.path().as_ref(), Some(&path));
            UnixStream::connect(&path).unwrap();
            drop(socket);
            assert!(!path.exists(), "{mode:o}");
        }
    }

    #[test]
    fn a_socket_is_replaced_if_nobody_answers_on_it() {
        let folder = Folder::new("stale");
        let path = folder.0.join("s");
        drop(UnixListener::bind(&path).unwrap()); // std leaves the file behind
        assert!(UnixStream::connect(&path).is_err());
        let socket = UnixSocket::bind(&path, 0o660).unwrap();
        UnixStream::connect(&path).unwrap();

        let error = UnixSocket::bind(&path, 0o660).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        UnixStream::connect(&path).unwrap();
        drop(socket);
    }

    #[test]
    fn one_with_a_full_backlog_is_served_and_does_not_keep_us_waiting() {
        let folder = Folder::new("full");
        let path = folder.0.join("s");
        let busy = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        busy.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        busy.listen(0).unwrap();
        let _waits = UnixStream::connect(&path).unwrap();
        assert_eq!(UnixSocket::bind(&path, 0o660).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn any_other_file_is_left_alone() {
        let folder = Folder::new("other");
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
            let error = UnixSocket::bind(path, 0o660).unwrap_err();
            assert_eq!(error.kind(), kind, "{path:?}: {error}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn another_ones_file_is_not_removed() {
        let folder = Folder::new("another");
        let path = folder.0.join("s");
        let socket = UnixSocket::bind(&path, 0o660).unwrap();
        fs::remove_file(&path).unwrap();
        let other = UnixSocket::bind(&path, 0o660).unwrap();
        drop(socket);
        UnixStream::connect(&path).unwrap();
        drop(other);
        assert!(!path.exists());
    }
}
