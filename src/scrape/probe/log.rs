//! The log of a probe, kept for `debug=true`.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Maximum size of a log in bytes. Lines that exceed it are dropped.
const MOST: usize = 64 * 1024;

/// The lines of one probe, if the client requested them.
///
/// The mutex is std's, because one of parking_lot is not `RefUnwindSafe`, and a `ProbeRequest` is.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProbeLog(Option<Arc<Mutex<Lines>>>);

#[derive(Debug)]
struct Lines {
    began: Instant,
    text: String,
}

impl ProbeLog {
    /// Creates a log that keeps its lines.
    pub(super) fn kept() -> Self {
        ProbeLog(Some(Arc::new(Mutex::new(Lines { began: Instant::now(), text: String::new() }))))
    }

    /// Returns whether the client requested the log.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Adds a line with the time since the probe began.
    pub(super) fn add(&self, line: impl fmt::Display) {
        let Some(lines) = &self.0 else { return };
        // Formatted without the lock, because this is foreign code.
        let line = line.to_string();
        let Ok(mut lines) = lines.lock() else { return };
        if lines.text.len() + line.len() <= MOST {
            let seconds = lines.began.elapsed().as_secs_f64();
            let _ = writeln!(lines.text, "{seconds:.6} {line}");
        }
    }

    /// Returns the text before the metrics, if lines are kept. The headings are those of Prometheus'
    /// blackbox_exporter.
    pub(crate) fn before_metrics(&self) -> Option<String> {
        let lines = self.0.as_ref()?.lock().ok()?;
        Some(format!(
            "Logs for the probe, with the seconds since its start:\n{}\n\nMetrics that would have been returned:\n",
            lines.text
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_keeps_lines_up_to_its_limit() {
        let log = ProbeLog::kept();
        log.add("first");
        log.add("x".repeat(MOST));
        log.add("last");
        let text = log.before_metrics().unwrap();
        let kept: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
        assert!(kept.contains(&"first") && kept.contains(&"last"), "{text}");
        assert!(text.len() < 1000, "{} bytes", text.len());
        let silent = ProbeLog::default();
        silent.add("unheard");
        assert_eq!(silent.before_metrics(), None);
    }
}
