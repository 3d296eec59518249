//! Values that are read from files and reloaded when the files change: web-config, certificates.
//!
//! No thread and no timer: a caller that may block checks the files, at most once a second, and all others use the last
//! good value. A check reads the files and compares digests, because times and lengths are not reliable. Nix and reproducible
//! images set all times alike, `cp -p` keeps them, and a write within one tick of the clock changes neither.
//!
//! The files are small: four of 2 KiB take a tenth of a millisecond. If a file system hangs, the caller that checks
//! hangs with it.
//!
//! A change takes effect after two checks in a row have read the same bytes. An editor or a copy that writes in place
//! shows an empty file for a moment, and half a file.

mod small_file;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::util::throttle::Throttle;
use crate::util::unwind::caught;

/// Minimum time between two checks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A value read from files, and reloaded when they change.
pub(crate) struct Reload<T, E> {
    last: Mutex<Arc<T>>,
    /// Locked by the caller that checks the files.
    watch: Mutex<Watch>,
    load: Box<Load<T, E>>,
    report: Box<Report<T, E>>,
}

/// Loads the value, and reads all files through [`Files`]. The current value is passed for comparison. Both checks
/// call it, and the first drops the result.
type Load<T, E> = dyn Fn(&mut Files, Option<&T>) -> Result<T, E> + Send + Sync;

/// Called once for each new version, good or bad, with the value that was current before. Unchanged files cause no
/// call. A good version is already in use when this is called.
type Report<T, E> = dyn Fn(&T, Reloaded<'_, T, E>) + Send + Sync;

/// Outcome of a new version.
#[derive(Debug)]
pub(crate) enum Reloaded<'a, T, E> {
    /// The new version is in use. It `repeats` if the last good one is the same, and no fault was reported since.
    Good { value: &'a T, repeats: bool },
    /// The last good version stays in use. The error is missing if the same one was reported in the last minute.
    Bad(Option<&'a E>),
    /// `load` panicked. The last good version stays in use.
    Panicked,
}

impl<T, E: fmt::Display> Reloaded<'_, T, E> {
    /// Logs the outcome of a new version of `what`, but no repeated version, and the same error once a minute.
    ///
    /// Catches a panic of the subscriber, so that the check ends.
    pub(crate) fn log(&self, what: &str) {
        caught(|| match self {
            Reloaded::Good { repeats: false, .. } => tracing::info!("{what} reloaded"),
            // Otherwise a fault of the system that comes and goes, such as EMFILE, would fill the log.
            Reloaded::Good { repeats: true, .. } | Reloaded::Bad(None) => {}
            Reloaded::Bad(Some(error)) => {
                tracing::warn!(%error, "failed to load the new {what}; keeping the last good one");
            }
            Reloaded::Panicked => tracing::warn!("panic loading the new {what}; keeping the last good one"),
        });
    }
}

#[derive(Debug)]
struct Watch {
    looked: Instant,
    /// The last version that took effect, good or bad.
    files: Files,
    /// Another version, which only the last check has read.
    unsettled: Option<Vec<(PathBuf, Seen)>>,
    /// The last good version that was reloaded, or nothing if a fault was reported since.
    good: Vec<(PathBuf, Seen)>,
    /// The last fault, and the limit of its reports.
    fault: (String, Throttle),
}

impl Watch {
    /// Returns whether this fault is the last one, and was reported in the last minute.
    fn repeats(&mut self, now: Instant, fault: String) -> bool {
        if self.fault.0 != fault {
            self.fault = (fault, Throttle::default());
        }
        let repeats = !self.fault.1.allows_at(now);
        if !repeats {
            self.good.clear();
        }
        repeats
    }
}

/// Reads files, and records their digests.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Randomly keyed, so that nobody can prepare two texts with the same digest.
    state: RandomState,
    seen: Vec<(PathBuf, Seen)>,
}

/// A file's digest, or why it could not be read.
type Seen = Result<u64, io::ErrorKind>;

impl<T, E: fmt::Display> Reload<T, E> {
    /// Loads the first value, which takes effect at once. `report` receives all later versions.
    ///
    /// # Errors
    ///
    /// Returns the error of `load`, because there is no good value to keep.
    pub(crate) fn new(
        now: Instant,
        load: impl Fn(&mut Files, Option<&T>) -> Result<T, E> + Send + Sync + 'static,
        report: impl Fn(&T, Reloaded<'_, T, E>) + Send + Sync + 'static,
    ) -> Result<Reload<T, E>, E> {
        let mut files = Files::default();
        let first = load(&mut files, None)?;
        let watch = Watch { looked: now, files, unsettled: None, good: vec![], fault: Default::default() };
        Ok(Reload {
            last: Mutex::new(Arc::new(first)),
            watch: Mutex::new(watch),
            load: Box::new(load),
            report: Box::new(report),
        })
    }

    /// Returns the last good value. Never blocks.
    pub(crate) fn last(&self) -> Arc<T> {
        Arc::clone(&self.last.lock())
    }

    /// Checks the files if a second has passed and no other caller is checking. A change takes effect at the next
    /// check, if that reads the same bytes.
    pub(crate) fn look(&self, now: Instant) {
        let Some(mut watch) = self.watch.try_lock() else { return };
        if now.saturating_duration_since(watch.looked) < LOOK_EVERY {
            return;
        }
        watch.looked = now;
        let seen_before = watch.unsettled.take();
        if watch.files.are_as_seen() {
            return;
        }
        // The files' content decides which files there are, so both checks load the whole version.
        let mut files = Files { state: watch.files.state.clone(), seen: Vec::new() };
        let in_force = self.last();
        let loaded = caught(|| (self.load)(&mut files, Some(&in_force)));
        if seen_before.as_ref() != Some(&files.seen) {
            watch.unsettled = Some(files.seen);
            return;
        }
        // A bad version is recorded too, so that it is neither loaded nor reported again until it changes.
        watch.files = files;
        match loaded {
            Some(Ok(value)) => {
                let value = Arc::new(value);
                *self.last.lock() = Arc::clone(&value);
                let repeats = watch.good == watch.files.seen;
                watch.good = watch.files.seen.clone();
                (self.report)(&in_force, Reloaded::Good { value: &value, repeats });
            }
            Some(Err(error)) => {
                let repeats = watch.repeats(now, error.to_string());
                (self.report)(&in_force, Reloaded::Bad((!repeats).then_some(&error)));
            }
            None if watch.repeats(now, "panic".to_owned()) => (self.report)(&in_force, Reloaded::Bad(None)),
            None => (self.report)(&in_force, Reloaded::Panicked),
        }
    }
}

/// Omits the value, because it may contain secrets.
impl<T, E> fmt::Debug for Reload<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").finish_non_exhaustive()
    }
}

impl Files {
    /// Reads a whole file.
    ///
    /// # Errors
    ///
    /// Returns the system's error unchanged. Returns `InvalidInput` if this is not a regular file, or is larger than
    /// 1 MiB.
    pub(crate) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let read = small_file::read(path);
        let seen = self.digest(&read);
        self.seen.push((path.to_owned(), seen));
        read
    }

    /// Returns whether each file still has the same content or the same error.
    fn are_as_seen(&self) -> bool {
        self.seen.iter().all(|(path, seen)| self.digest(&small_file::read(path)) == *seen)
    }

    fn digest(&self, read: &io::Result<Vec<u8>>) -> Seen {
        match read {
            Ok(bytes) => Ok(self.state.hash_one(bytes)),
            Err(error) => Err(error.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;

    type Reports = Arc<Mutex<Vec<String>>>;

    /// Loads two files as one text. The text `bad` is an error, and `panic` panics.
    fn both(first: &Path, second: &Path, now: Instant) -> (Reload<String, String>, Reports) {
        let reports = Reports::default();
        let (paths, heard) = ([first.to_owned(), second.to_owned()], Arc::clone(&reports));
        let load = move |files: &mut Files, _: Option<&String>| {
            let mut text = String::new();
            for path in &paths {
                let bytes = files.read(path).map_err(|error| error.kind().to_string())?;
                text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
            assert!(!text.contains("panic"));
            if text.contains("bad") { Err(text) } else { Ok(text) }
        };
        let report = move |before: &String, reloaded: Reloaded<'_, String, String>| {
            heard.lock().push(match reloaded {
                Reloaded::Good { value, repeats: false } => format!("{value} after {before}"),
                Reloaded::Good { value, repeats: true } => format!("{value} again"),
                Reloaded::Bad(Some(why)) => format!("bad {why}, not {before}"),
                Reloaded::Bad(None) => format!("bad again, not {before}"),
                Reloaded::Panicked => "panicked".to_owned(),
            });
        };
        (Reload::new(now, load, report).unwrap(), reports)
    }

    #[test]
    fn a_version_takes_effect_after_two_checks() {
        let folder = Scratch::new("versions");
        let (a, b) = (folder.write("a", "1"), folder.write("b", "1"));
        let start = Instant::now();
        let (reload, reports) = both(&a, &b, start);
        // The content of file b (`None`: removed), milliseconds since the start, the value, the reports.
        let rows: &[(Option<&str>, u64, &str, &[&str])] = &[
            (Some("1"), 0, "11", &[]),
            (Some("2"), 999, "11", &[]),
            (Some("2"), 1000, "11", &[]),
            (Some("2"), 1999, "11", &[]),
            (Some("2"), 2000, "12", &["12 after 11"]),
            // This version was replaced before the second check.
            (Some("3"), 3000, "12", &[]),
            (Some("2"), 4000, "12", &[]),
            (Some("3"), 5000, "12", &[]),
            // Each check of a file that is being written reads something else.
            (Some(""), 6000, "12", &[]),
            (Some("b"), 7000, "12", &[]),
            (Some("ba"), 8000, "12", &[]),
            (Some("3"), 9000, "12", &[]),
            // A change of the content counts, even with the same length or time.
            (Some("4"), 10000, "12", &[]),
            (Some("4"), 11000, "14", &["14 after 12"]),
            (Some("bad"), 12000, "14", &[]),
            (Some("bad"), 13000, "14", &["bad 1bad, not 14"]),
            (Some("bad"), 14000, "14", &[]),
            (Some("bad too"), 15000, "14", &[]),
            (Some("bad too"), 16000, "14", &["bad 1bad too, not 14"]),
            // The previous good version is also a new one: the report must say that the files are good again.
            (Some("4"), 17000, "14", &[]),
            (Some("4"), 18000, "14", &["14 after 14"]),
            (None, 19000, "14", &[]),
            (None, 20000, "14", &["bad entity not found, not 14"]),
            (None, 21000, "14", &[]),
            (Some("4"), 22000, "14", &[]),
            (Some("4"), 23000, "14", &["14 after 14"]),
            (Some("panic"), 24000, "14", &[]),
            (Some("panic"), 25000, "14", &["panicked"]),
            (Some("panic"), 26000, "14", &[]),
            (Some("5"), 27000, "14", &[]),
            (Some("5"), 90000, "15", &["15 after 14"]),
            // A fault that comes and goes, such as EMFILE, is reported in full once a minute. Another one is not affected.
            (None, 91000, "15", &[]),
            (None, 92000, "15", &["bad entity not found, not 15"]),
            (Some("5"), 93000, "15", &[]),
            (Some("5"), 94000, "15", &["15 after 15"]),
            (None, 95000, "15", &[]),
            (None, 151_999, "15", &["bad again, not 15"]),
            (Some("5"), 153_000, "15", &[]),
            // The report that the files are good again is missing, too.
            (Some("5"), 154_000, "15", &["15 again"]),
            (None, 155_000, "15", &[]),
            (None, 156_000, "15", &["bad entity not found, not 15"]),
            (Some("panic"), 157_000, "15", &[]),
            (Some("panic"), 158_000, "15", &["panicked"]),
            (Some("panic too"), 159_000, "15", &[]),
            (Some("panic too"), 160_000, "15", &["bad again, not 15"]),
            // The clock is monotonic, but a caller's time may be older than another's.
            (Some("6"), 159_000, "15", &[]),
            (Some("6"), 159_999, "15", &[]),
            // After a fault that was not reported, another content is reported.
            (Some("6"), 161_000, "15", &[]),
            (Some("6"), 162_000, "16", &["16 after 15"]),
            // After a fault that was reported, the same content is reported.
            (None, 216_000, "16", &[]),
            (None, 217_000, "16", &["bad entity not found, not 16"]),
            (Some("6"), 218_000, "16", &[]),
            (Some("6"), 219_000, "16", &["16 after 16"]),
        ];
        for (content, milliseconds, value, expected) in rows {
            match content {
                Some(content) => drop(folder.write("b", content)),
                None => drop(fs::remove_file(&b)),
            }
            let now = start + Duration::from_millis(*milliseconds);
            reload.look(now);
            assert_eq!(*reload.last(), *value, "{content:?} at {milliseconds}");
            assert_eq!(std::mem::take(&mut *reports.lock()), *expected, "{content:?} at {milliseconds}");
        }
    }

    #[test]
    fn fails_without_a_good_first_value() {
        let missing = std::env::temp_dir().join("prometheus-hyper-no-such-folder/file");
        let load =
            move |files: &mut Files, _: Option<&Vec<u8>>| files.read(&missing).map_err(|error| error.kind());
        let error = Reload::new(Instant::now(), load, |_, _| ()).unwrap_err();
        assert_eq!(error, io::ErrorKind::NotFound);
    }

    /// Kubernetes replaces a secret so: file → `..data`/file, `..data` → a dated folder. It swaps the link `..data`.
    #[cfg(unix)]
    #[test]
    fn detects_a_swapped_link() {
        use std::os::unix::fs::symlink;
        let folder = Scratch::new("links");
        for version in ["1", "2"] {
            fs::create_dir(folder.0.join(version)).unwrap();
            let path = folder.write(&format!("{version}/file"), version);
            // All files get the same time, as in an image.
            fs::File::options().write(true).open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        symlink("1", folder.0.join("..data")).unwrap();
        symlink("..data/file", folder.0.join("file")).unwrap();
        let start = Instant::now();
        let path = folder.0.join("file");
        let (reload, _) = both(&path, &folder.write("other", ""), start);
        assert_eq!(*reload.last(), "1");
        symlink("2", folder.0.join("..data_tmp")).unwrap();
        fs::rename(folder.0.join("..data_tmp"), folder.0.join("..data")).unwrap();
        reload.look(start + LOOK_EVERY);
        assert_eq!(*reload.last(), "1");
        reload.look(start + 2 * LOOK_EVERY);
        assert_eq!(*reload.last(), "2");
    }

    #[test]
    fn concurrent_callers_get_the_last_good_value() {
        let folder = Scratch::new("slow");
        let path = folder.write("file", "1");
        let (began, has_begun) = mpsc::channel();
        let (finish, may_finish) = mpsc::channel::<()>();
        let (loads, may_finish) = (AtomicUsize::new(0), Mutex::new(may_finish));
        let watched = path.clone();
        let load = move |files: &mut Files, _: Option<&Vec<u8>>| {
            let bytes = files.read(&watched).map_err(|error| error.to_string())?;
            if loads.fetch_add(1, Ordering::Relaxed) > 1 {
                began.send(()).unwrap();
                may_finish.lock().recv().unwrap();
            }
            Ok::<_, String>(bytes)
        };
        let start = Instant::now();
        let reload = Reload::new(start, load, |_, _| ()).unwrap();
        folder.write("file", "2");
        let current = |now| {
            reload.look(now);
            reload.last()
        };
        assert_eq!(*current(start + LOOK_EVERY), b"1");
        let later = start + 5 * LOOK_EVERY;
        thread::scope(|scope| {
            let slow = scope.spawn(|| current(later));
            has_begun.recv().unwrap();
            for _ in 0..10 {
                assert_eq!(*current(later), b"1");
            }
            finish.send(()).unwrap();
            assert_eq!(*slow.join().unwrap(), b"2");
        });
        assert_eq!(*current(later), b"2");
    }
}
