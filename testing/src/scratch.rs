//! A folder of a test's own, for the tests of the library, too.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

/// Gone after the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        loop {
            // Short, for the path of a Unix socket has 108 bytes.
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let folder = env::temp_dir().join(format!("ph-{name}-{}-{number}", process::id()));
            match fs::create_dir(&folder) {
                Ok(()) => return Scratch(folder),
                // Left by a test that was killed, by a process that had this number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", folder.display()),
            }
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// In one step: half a file is a version, too.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let (path, new) = (self.path(name), self.path("new"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&new, bytes).unwrap();
        fs::rename(&new, &path).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
