//! Reading of small files at paths that the user gave, whatever kind of file is there.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::util::io_error;

/// Maximum size of a file, in bytes. Certificates and configurations have about a thousandth of it.
pub(super) const MAX_FILE: u64 = 1024 * 1024;

/// Reads a whole file. Follows symbolic links, because a secret of Kubernetes consists of two.
///
/// Never waits for a pipe's writer or for a device. Never reads more than [`MAX_FILE`] bytes and one.
///
/// # Errors
///
/// Returns the system's error unchanged. Returns `InvalidInput` if this is not a regular file, or is larger than
/// [`MAX_FILE`].
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening some devices has effects: a tape rewinds, a watchdog starts.
    check(&std::fs::metadata(path)?)?;
    read_opened(path)
}

/// Opens and reads a file, and checks it again: the path may have been replaced after the first check.
fn read_opened(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    options.read(true);
    without_waiting(&mut options);
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    check(&metadata)?;
    read_at_most(file, metadata.len())
}

fn check(metadata: &Metadata) -> io::Result<()> {
    if !metadata.is_file() {
        return Err(io_error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if metadata.len() > MAX_FILE {
        return Err(too_large());
    }
    Ok(())
}

/// Ignores the file's length, because a file may grow, and files in `/proc` report 0.
fn read_at_most(file: File, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(too_large());
    }
    Ok(bytes)
}

fn too_large() -> io::Error {
    io_error::new(io::ErrorKind::InvalidInput, format!("larger than {MAX_FILE} bytes"))
}

/// Opens without blocking. With `O_NONBLOCK`, a pipe without a writer opens at once, and a read without input fails
/// (open(2)). Regular files ignore it. Without `O_NOCTTY`, a terminal could become the process's controlling one.
#[cfg(unix)]
fn without_waiting(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
}

#[cfg(not(unix))]
fn without_waiting(_: &mut OpenOptions) {}

#[cfg(test)]
mod tests {
    use std::fs;
    #[cfg(unix)]
    use std::{path::PathBuf, process::Command, sync::mpsc, thread, time::Duration};

    use super::*;
    use crate::scratch::Scratch;

    type Reader = fn(&Path) -> io::Result<Vec<u8>>;

    /// The second reader stands for a path that was replaced after the first check.
    const READERS: [(&str, Reader); 2] = [("read", read), ("read_opened", read_opened)];

    /// Runs the reader on another thread, because one that blocks would block forever.
    #[cfg(unix)]
    fn in_time(name: &str, reader: Reader, path: PathBuf) -> io::Result<Vec<u8>> {
        let (done, is_done) = mpsc::channel();
        let shown = format!("{name} of {}", path.display());
        thread::spawn(move || done.send(reader(&path)));
        is_done.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("{shown} waits"))
    }

    #[cfg(unix)]
    fn pipe(folder: &Scratch) -> PathBuf {
        let path = folder.path("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    #[test]
    fn reads_regular_files_up_to_the_limit() {
        let folder = Scratch::new("regular");
        let most = vec![b'x'; usize::try_from(MAX_FILE).unwrap()];
        let table: [(&str, &[u8]); 3] = [("empty", b""), ("small", b"text"), ("most", &most)];
        for (name, bytes) in table {
            let path = folder.write(name, bytes);
            for (reader, read) in READERS {
                assert!(read(&path).unwrap() == bytes, "{reader}: {name}");
            }
        }
    }

    #[test]
    fn rejects_files_above_the_limit_and_folders() {
        let folder = Scratch::new("odd");
        let large = folder.write("large", vec![0; 2 * 1024 * 1024]);
        let one_more = folder.write("one-more", "");
        File::options().write(true).open(&one_more).unwrap().set_len(MAX_FILE + 1).unwrap();
        let table = [(large, "larger than 1048576 bytes"), (one_more, "larger than 1048576 bytes")];
        for (path, expected) in table {
            for (reader, read) in READERS {
                let error = read(&path).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{reader}: {path:?}");
                assert_eq!(error.to_string(), expected, "{reader}: {path:?}");
            }
        }
        assert_eq!(read(&folder.0).unwrap_err().to_string(), "not a regular file");
        // Outside Unix, a folder cannot be opened.
        read_opened(&folder.0).unwrap_err();
        let missing = folder.path("missing");
        assert_eq!(
            read(&missing).unwrap_err().raw_os_error(),
            fs::read(&missing).unwrap_err().raw_os_error()
        );
    }

    #[cfg(unix)]
    #[test]
    fn does_not_wait_for_pipes_and_devices() {
        let folder = Scratch::new("special");
        let socket = folder.path("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let link = folder.path("link");
        std::os::unix::fs::symlink("pipe", &link).unwrap();
        for path in [pipe(&folder), link, "/dev/zero".into(), "/dev/null".into(), folder.0.clone()] {
            for (name, reader) in READERS {
                let error = in_time(name, reader, path.clone()).unwrap_err();
                assert_eq!(error.to_string(), "not a regular file", "{name}: {path:?}");
            }
        }
        assert_eq!(read(&socket).unwrap_err().to_string(), "not a regular file");
    }

    /// A file that grows, or that reports no length, as files in `/proc` do.
    #[cfg(target_os = "linux")]
    #[test]
    fn does_not_trust_the_files_length() {
        let own = fs::read_to_string("/proc/self/status").unwrap();
        let read = read(Path::new("/proc/self/status")).unwrap();
        assert!(!read.is_empty() && own.len().abs_diff(read.len()) < 1000);
        assert_eq!(
            read_at_most(File::open("/dev/zero").unwrap(), 0).unwrap_err().to_string(),
            too_large().to_string()
        );
    }

    /// A path was a file at the check and a pipe when it was opened, so the thread waited for its writer.
    #[cfg(unix)]
    #[test]
    fn does_not_wait_for_a_pipe_that_replaced_a_file() {
        let folder = Scratch::new("swapped");
        let (pipe, path) = (pipe(&folder), folder.write("file", "text"));
        let (stop, stopped) = mpsc::channel::<()>();
        let (file, other) = (folder.write("kept", "text"), folder.path("other"));
        let swapped = path.clone();
        let swapping = thread::spawn(move || {
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                for one in [&pipe, &file] {
                    fs::hard_link(one, &other).unwrap();
                    fs::rename(&other, &swapped).unwrap();
                }
            }
        });
        for _ in 0..2000 {
            match in_time("read", read, path.clone()) {
                Ok(bytes) => assert_eq!(bytes, b"text"),
                Err(error) => assert_eq!(error.to_string(), "not a regular file"),
            }
        }
        drop(stop);
        swapping.join().unwrap();
    }
}
