//! A temporary folder of a test, also of the library's.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

/// Removed after the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        loop {
            // Short, because the path of a Unix socket has at most 108 bytes.
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let folder = env::temp_dir().join(format!("ph-{name}-{}-{number}", process::id()));
            match fs::create_dir(&folder) {
                Ok(()) => return Scratch(folder),
                // Left behind by a killed test of an earlier process with this id.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", folder.display()),
            }
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes in one step, because half a file would be a version.
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
