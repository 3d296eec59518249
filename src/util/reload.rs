//! What comes from files, and is read again when they change: web-config, certificates.
//!
//! There is no thread and no timer: a caller that needs the value looks at the files first, if the last look is a second old.
//! A look reads the files and compares digests, because times and lengths cannot be trusted: Nix and
//! reproducible images set all times alike, `cp -p` keeps them, a write within one tick of the clock changes
//! neither. The files are small: four of 2 KiB take a tenth of a millisecond, once a second at most. On a file system
//! that hangs, the caller that looks hangs with it; all others go on with the last good value.
//!
//! A change counts once two looks in a row have seen the same bytes: an editor or a copy that writes in place shows an
//! empty file for a moment, and half a file.

mod small_file;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::util::unwind::caught;

/// No two looks are closer to each other.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A value that was read from files, and is read again when they have changed.
pub(crate) struct Reload<T, E> {
    last: Mutex<Arc<T>>,
    /// Held by the caller that looks.
    watch: Mutex<Watch>,
    load: Box<Load<T, E>>,
    report: Box<Report<T, E>>,
}

/// Reads the value, all files by way of [`Files`]; the one in force is there to be compared with. Each of the two looks calls
/// it, and of the first the value is dropped.
type Load<T, E> = dyn Fn(&mut Files, Option<&T>) -> Result<T, E> + Send + Sync;

/// Hears of each new version once, good or bad, and of the value that was in force until then; of files that stay as they
/// are, nothing. By then a good version is given out.
type Report<T, E> = dyn Fn(&T, Reloaded<'_, T, E>) + Send + Sync;

/// What became of a new version.
#[derive(Debug)]
pub(crate) enum Reloaded<'a, T, E> {
    /// It is what is given out from now on.
    Good(&'a T),
    /// The last good one stays.
    Bad(&'a E),
    /// The same; `load` panicked.
    Panicked,
}

impl<T, E: fmt::Display> Reloaded<'_, T, E> {
    /// Says what became of a new version of `what`: once for each, so it fills no log.
    ///
    /// A subscriber that panics here ends neither the request that caused the look nor what is to be done next.
    pub(crate) fn log(&self, what: &str) {
        caught(|| match self {
            Reloaded::Good(_) => tracing::info!("the {what} has been read again"),
            Reloaded::Bad(error) => {
                tracing::warn!(%error, "cannot use the new {what}; keeping the last good one");
            }
            Reloaded::Panicked => tracing::warn!("cannot read the new {what}; keeping the last good one"),
        });
    }
}

#[derive(Debug)]
struct Watch {
    looked: Instant,
    /// The last version that counted, good or bad.
    files: Files,
    /// Another one, which the last look has seen and the one before has not.
    unsettled: Option<Vec<(PathBuf, Seen)>>,
}

/// Reads files and remembers what they held.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// With keys of its own, so that no two texts are known beforehand to collide.
    state: RandomState,
    seen: Vec<(PathBuf, Seen)>,
}

/// A file's digest, or why it could not be read.
type Seen = Result<u64, io::ErrorKind>;

impl<T, E> Reload<T, E> {
    /// Reads for the first time, which counts at once; `report` hears of the versions after this one.
    ///
    /// # Errors
    ///
    /// That of `load`: without a first good value there is none to keep.
    pub(crate) fn new(
        now: Instant,
        load: impl Fn(&mut Files, Option<&T>) -> Result<T, E> + Send + Sync + 'static,
        report: impl Fn(&T, Reloaded<'_, T, E>) + Send + Sync + 'static,
    ) -> Result<Reload<T, E>, E> {
        let mut files = Files::default();
        let first = load(&mut files, None)?;
        Ok(Reload {
            last: Mutex::new(Arc::new(first)),
            watch: Mutex::new(Watch { looked: now, files, unsettled: None }),
            load: Box::new(load),
            report: Box::new(report),
        })
    }

    /// The last good value, without a look: it never waits.
    pub(crate) fn last(&self) -> Arc<T> {
        Arc::clone(&self.last.lock())
    }

    /// The last good value, after a look if it is time for one.
    ///
    /// It reads files where it is called. That is fit for a runtime's thread as long as they are local; where it is
    /// not, [`Reload::look`] elsewhere and [`Reload::last`] here are the same in two steps.
    pub(crate) fn current(&self, now: Instant) -> Arc<T> {
        self.look(now);
        self.last()
    }

    /// Reads again if a second has passed, no other caller is reading, and a file has changed. What has changed counts at the next
    /// look, if that sees the same.
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
        // Which files there are is up to what is in them, so the version is read whole at both looks.
        let mut files = Files { state: watch.files.state.clone(), seen: Vec::new() };
        let in_force = self.last();
        let loaded = caught(|| (self.load)(&mut files, Some(&in_force)));
        if seen_before.as_ref() != Some(&files.seen) {
            watch.unsettled = Some(files.seen);
            return;
        }
        // Also of a bad version: it is not read again, nor reported, until it changes.
        watch.files = files;
        match loaded {
            Some(Ok(value)) => {
                let value = Arc::new(value);
                *self.last.lock() = Arc::clone(&value);
                (self.report)(&in_force, Reloaded::Good(&value));
            }
            Some(Err(error)) => (self.report)(&in_force, Reloaded::Bad(&error)),
            None => (self.report)(&in_force, Reloaded::Panicked),
        }
    }
}

/// Without the value: it may hold secrets.
impl<T, E> fmt::Debug for Reload<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").finish_non_exhaustive()
    }
}

impl Files {
    /// The whole file.
    ///
    /// # Errors
    ///
    /// The system's, unchanged; `InvalidInput` for what is not a regular file, and for one that is larger than 1 MiB.
    pub(crate) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let read = small_file::read(path);
        let seen = self.digest(&read);
        self.seen.push((path.to_owned(), seen));
        read
    }

    /// Whether each file holds what it held when it was read, or can be read as little as then.
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

    /// Reads two files to one text; `bad` in it is an error, `panic` a panic.
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
                Reloaded::Good(text) => format!("{text} after {before}"),
                Reloaded::Bad(why) => format!("bad {why}, not {before}"),
                Reloaded::Panicked => "panicked".to_owned(),
            });
        };
        (Reload::new(now, load, report).unwrap(), reports)
    }

    #[test]
    fn a_version_counts_once_two_looks_have_seen_it() {
        let folder = Scratch::new("versions");
        let (a, b) = (folder.write("a", "1"), folder.write("b", "1"));
        let start = Instant::now();
        let (reload, reports) = both(&a, &b, start);
        // The file b (none: it is removed), milliseconds since the start, the value, what is reported.
        let rows: &[(Option<&str>, u64, &str, &[&str])] = &[
            (Some("1"), 0, "11", &[]),
            (Some("2"), 999, "11", &[]),
            (Some("2"), 1000, "11", &[]),
            (Some("2"), 1999, "11", &[]),
            (Some("2"), 2000, "12", &["12 after 11"]),
            // It went before the second look.
            (Some("3"), 3000, "12", &[]),
            (Some("2"), 4000, "12", &[]),
            (Some("3"), 5000, "12", &[]),
            // While it is being written each look sees something else.
            (Some(""), 6000, "12", &[]),
            (Some("b"), 7000, "12", &[]),
            (Some("ba"), 8000, "12", &[]),
            (Some("3"), 9000, "12", &[]),
            // Of the same length, within the same tick, or with the same time: all the same.
            (Some("4"), 10000, "12", &[]),
            (Some("4"), 11000, "14", &["14 after 12"]),
            (Some("bad"), 12000, "14", &[]),
            (Some("bad"), 13000, "14", &["bad 1bad, not 14"]),
            (Some("bad"), 14000, "14", &[]),
            (Some("bad too"), 15000, "14", &[]),
            (Some("bad too"), 16000, "14", &["bad 1bad too, not 14"]),
            // What was good before is a new version, too: of it the report must say that all is well again.
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
            // Time does not go back, but a caller's may be older than another's.
            (Some("6"), 89000, "15", &[]),
            (Some("6"), 89999, "15", &[]),
        ];
        for (content, milliseconds, value, expected) in rows {
            match content {
                Some(content) => drop(folder.write("b", content)),
                None => drop(fs::remove_file(&b)),
            }
            let now = start + Duration::from_millis(*milliseconds);
            assert_eq!(*reload.current(now), *value, "{content:?} at {milliseconds}");
            assert_eq!(*reload.last(), *value);
            assert_eq!(std::mem::take(&mut *reports.lock()), *expected, "{content:?} at {milliseconds}");
        }
    }

    #[test]
    fn without_a_first_value_there_is_none() {
        let missing = std::env::temp_dir().join("prometheus-hyper-no-such-folder/file");
        let load =
            move |files: &mut Files, _: Option<&Vec<u8>>| files.read(&missing).map_err(|error| error.kind());
        let error = Reload::new(Instant::now(), load, |_, _| ()).unwrap_err();
        assert_eq!(error, io::ErrorKind::NotFound);
    }

    /// As Kubernetes replaces a secret: file → `..data`/file, `..data` → a folder with a date, which is swapped.
    #[cfg(unix)]
    #[test]
    fn a_swapped_link_is_a_change() {
        use std::os::unix::fs::symlink;
        let folder = Scratch::new("links");
        for version in ["1", "2"] {
            fs::create_dir(folder.0.join(version)).unwrap();
            let path = folder.write(&format!("{version}/file"), version);
            // All times alike, as in an image.
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
        assert_eq!(*reload.current(start + LOOK_EVERY), "1");
        assert_eq!(*reload.current(start + 2 * LOOK_EVERY), "2");
    }

    #[test]
    fn while_one_looks_the_others_take_the_last_good_one() {
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
        assert_eq!(*reload.current(start + LOOK_EVERY), b"1");
        let later = start + 5 * LOOK_EVERY;
        thread::scope(|scope| {
            let slow = scope.spawn(|| reload.current(later));
            has_begun.recv().unwrap();
            for _ in 0..10 {
                assert_eq!(*reload.current(later), b"1");
            }
            finish.send(()).unwrap();
            assert_eq!(*slow.join().unwrap(), b"2");
        });
        assert_eq!(*reload.current(later), b"2");
    }
}
