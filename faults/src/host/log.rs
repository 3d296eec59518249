//! Counts the lines of the host program's log: those of the default level, info and above, and those of
//! debug. It counts the lines of all crates, by `tracing` and by `log`, of any target.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

static LINES: AtomicU64 = AtomicU64::new(0);
static DEBUG_LINES: AtomicU64 = AtomicU64::new(0);

pub fn count() {
    tracing::subscriber::set_global_default(Counting).expect("the first one");
    log::set_logger(&Counting).expect("the first one");
    log::set_max_level(log::LevelFilter::Debug);
}

pub fn lines() -> u64 {
    LINES.load(Ordering::Relaxed)
}

pub fn debug_lines() -> u64 {
    DEBUG_LINES.load(Ordering::Relaxed)
}

pub fn reset() {
    LINES.store(0, Ordering::Relaxed);
    DEBUG_LINES.store(0, Ordering::Relaxed);
}

struct Counting;

fn count_line(is_seen: bool, line: impl FnOnce() -> String) {
    if is_seen {
        LINES.fetch_add(1, Ordering::Relaxed);
        eprintln!("{}", line());
    } else {
        DEBUG_LINES.fetch_add(1, Ordering::Relaxed);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Counting {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        count_line(*metadata.level() <= Level::INFO, || {
            let mut line = Line(format!("{} {}:", metadata.level(), metadata.target()));
            event.record(&mut line);
            line.0
        });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Counts the lines of crates that do not use `tracing`.
impl log::Log for Counting {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Debug
    }

    fn log(&self, record: &log::Record<'_>) {
        count_line(record.level() <= log::Level::Info, || {
            format!("{} {}: {}", record.level(), record.target(), record.args())
        });
    }

    fn flush(&self) {}
}
