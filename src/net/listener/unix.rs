//! Unix sockets: a file that others can be let in by, or not.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use socket2::{Domain, SockAddr, Type};

use crate::net::stream::{Io, Stream};
use crate::util::io_error;

/// As std listens.
const BACKLOG: i32 = 128;

/// A server that starts has bound its socket, and listens next: for so long a file may stand there unanswered.
const FRESH: Duration = Duration::from_secs(1);

/// Who holds the lock waits for about `FRESH` at the most.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// A lock of this age was left by a kill.
const LOCK_IS_STALE: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(10);

/// A Unix socket that listens.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    /// That which we made. Removed first: see `SocketFile`.
    file: Option<SocketFile>,
    listener: UnixListener,
}

impl UnixSocket {
    /// Makes the file, with this mode. A socket that nobody answers on is replaced; any other file is left alone.
    pub(crate) fn bind(path: &Path, mode: u32) -> io::Result<UnixSocket> {
        Self::bind_beside(path, mode, FRESH)
    }

    /// The same, where another server may take so long between its bind and its listen.
    fn bind_beside(path: &Path, mode: u32, fresh: Duration) -> io::Result<UnixSocket> {
        make(path, mode, fresh)
            .map_err(|error| io_error::annotated(error, format_args!("cannot listen on {}", path.display())))
    }

    /// A listener that exists. Its file is its owner's.
    pub(crate) fn of(listener: UnixListener) -> io::Result<UnixSocket> {
        listener.set_nonblocking(true)?;
        Ok(UnixSocket { listener, file: None })
    }

    pub(crate) fn path(&self) -> Option<PathBuf> {
        match &self.file {
            // Absolute or not, as it was given.
            Some(file) => Some(file.given.clone()),
            None => self.listener.local_addr().ok()?.as_pathname().map(Path::to_owned),
        }
    }

    /// Takes it onto the current runtime.
    pub(super) fn enter(self) -> io::Result<Listening> {
        let listener = tokio::net::UnixListener::from_std(self.listener)?;
        Ok(Listening { _file: self.file, listener })
    }
}

/// The same on a runtime.
#[derive(Debug)]
pub(super) struct Listening {
    /// Removed first.
    _file: Option<SocketFile>,
    listener: tokio::net::UnixListener,
}

/// What its client has not taken is dropped with it.
impl Io for tokio::net::UnixStream {}

impl Listening {
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        self.listener.poll_accept(cx).map_ok(|(stream, _)| Box::new(stream) as Stream)
    }
}

/// A socket's file; its drop removes it, if it is that one still.
///
/// It goes before the socket is closed: until then the kernel keeps the inode, so its number is nobody else's, and nobody
/// takes the file for a stale one.
#[derive(Debug)]
struct SocketFile {
    given: PathBuf,
    /// Absolute, for the host may change its directory.
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

/// To bind is atomic where there is no file. To replace one is not, and is done under a lock.
///
/// What remains: a program that replaces sockets without our lock, and a server that stops between its bind and its listen
/// for longer than `FRESH`.
fn make(path: &Path, mode: u32, fresh: Duration) -> io::Result<UnixSocket> {
    if !is_stale(path, fresh)? {
        return bind(path, mode);
    }
    let _lock = Lock::take(path)?;
    // Another one may have been faster.
    if is_stale(path, fresh)? {
        fs::remove_file(path)?;
    }
    bind(path, mode)
}

/// Whether there is a socket that nobody answers on; false if there is no file, an error if it is to be left alone.
fn is_stale(path: &Path, fresh: Duration) -> io::Result<bool> {
    loop {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if !metadata.file_type().is_socket() {
            return Err(io_error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
        }
        let probe = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // One whose backlog is full would keep us waiting, and is one that is served.
        probe.set_nonblocking(true)?;
        match probe.connect(&SockAddr::unix(path)?) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            _ => return Err(io_error::new(io::ErrorKind::AddrInUse, "somebody answers on this socket")),
        }
        if age(&metadata)? >= fresh {
            return Ok(true);
        }
        thread::sleep(POLL);
    }
}

/// How far from now the file was made. In the future counts as well, for a clock that was set back must not lock out.
fn age(metadata: &fs::Metadata) -> io::Result<Duration> {
    let made: SystemTime = metadata.modified()?;
    Ok(made.elapsed().unwrap_or_else(|ahead| ahead.duration()))
}

/// One at a time replaces a socket: a directory beside it, for to make one is atomic.
///
/// What remains: of two that find a lock that a kill has left, one may remove the other's.
#[derive(Debug)]
struct Lock(PathBuf);

impl Lock {
    fn take(path: &Path) -> io::Result<Lock> {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".lock");
        let lock = path.with_file_name(name);
        let begun = Instant::now();
        loop {
            match fs::create_dir(&lock) {
                Ok(()) => return Ok(Lock(lock)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            let left = fs::symlink_metadata(&lock).and_then(|metadata| age(&metadata));
            if left.is_ok_and(|age| age >= LOCK_IS_STALE) && fs::remove_dir(&lock).is_ok() {
                continue;
            }
            if begun.elapsed() >= LOCK_PATIENCE {
                let sentence = format!("another server starts here: {} is there", lock.display());
                return Err(io_error::new(io::ErrorKind::AddrInUse, sentence));
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Where this fails, it is stale soon.
        let _ = fs::remove_dir(&self.0);
    }
}

fn bind(path: &Path, mode: u32) -> io::Result<UnixSocket> {
    let absolute = std::path::absolute(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile { given: path.to_owned(), identity: identity(&absolute), path: absolute };
    // The mode goes by the path, and follows links. Who may write to the directory can still win the race between these
    // two: no call of std's sets the mode of a link.
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io_error::new(io::ErrorKind::AlreadyExists, "another file has taken the socket's place"));
    }
    // Before it listens: nobody gets in by what the umask has left.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(UnixSocket { file: Some(file), listener: UnixListener::from(std::os::fd::OwnedFd::from(socket)) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::scratch::Scratch;

    /// What a killed server has left, for std removes no file. Not at once: a process that another test spawns has a copy of
    /// the socket between fork and exec.
    fn left(path: &Path) {
        drop(UnixListener::bind(path).unwrap());
        while UnixStream::connect(path).is_ok() {
            thread::sleep(POLL);
        }
    }

    #[test]
    fn the_file_has_its_mode_and_goes_with_the_socket() {
        let folder = Scratch::new("mode");
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
        let folder = Scratch::new("stale");
        let path = folder.0.join("s");
        left(&path);
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
        let folder = Scratch::new("full");
        let path = folder.0.join("s");
        let busy = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        busy.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        busy.listen(0).unwrap();
        let _waits = UnixStream::connect(&path).unwrap();
        assert_eq!(UnixSocket::bind(&path, 0o660).unwrap_err().kind(), io::ErrorKind::AddrInUse);
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
            let error = UnixSocket::bind(path, 0o660).unwrap_err();
            assert_eq!(error.kind(), kind, "{path:?}: {error}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn another_ones_file_is_not_removed() {
        let folder = Scratch::new("another");
        let path = folder.0.join("s");
        let socket = UnixSocket::bind(&path, 0o660).unwrap();
        fs::remove_file(&path).unwrap();
        let other = UnixSocket::bind(&path, 0o660).unwrap();
        drop(socket);
        UnixStream::connect(&path).unwrap();
        drop(other);
        assert!(!path.exists());
    }

    #[test]
    fn one_that_is_about_to_listen_is_left_alone() {
        let folder = Scratch::new("about");
        let path = folder.0.join("s");
        let other = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        other.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        let listens = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            other.listen(1).unwrap();
            other
        });
        // Much longer than that, for the thread above may have to wait for its turn.
        let error = UnixSocket::bind_beside(&path, 0o660, Duration::from_secs(60)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
        let _other = listens.join().unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn of_many_that_replace_a_socket_one_has_it() {
        let folder = Scratch::new("many");
        let path = folder.0.join("s");
        left(&path);
        // Old enough to be replaced, while one that has just been bound is not, however long its thread waits for its turn.
        let touched = std::process::Command::new("touch").args(["-t", "200001010000"]).arg(&path).status();
        assert!(touched.unwrap().success());
        let bind = || UnixSocket::bind_beside(&path, 0o660, Duration::from_secs(60));
        let bound: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(bind)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (have, have_not): (Vec<_>, Vec<_>) = bound.into_iter().partition(Result::is_ok);
        assert_eq!(have.len(), 1);
        for error in have_not {
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
        UnixStream::connect(&path).unwrap();
        drop(have);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0, "neither socket nor lock");
    }

    #[test]
    fn a_lock_keeps_others_out_until_it_is_old() {
        let folder = Scratch::new("lock");
        let (path, lock) = (folder.0.join("s"), folder.0.join(".s.lock"));
        left(&path);
        fs::create_dir(&lock).unwrap();
        let error = UnixSocket::bind(&path, 0o660).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(".s.lock"), "{error}");

        let old = SystemTime::now() - LOCK_IS_STALE;
        fs::File::open(&lock).unwrap().set_modified(old).unwrap();
        let socket = UnixSocket::bind(&path, 0o660).unwrap();
        assert!(!lock.exists());
        drop(socket);
    }
}
