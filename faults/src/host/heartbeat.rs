//! The host program's own work: it opens a file each 10 ms. A late beat or a failed open is harm.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::Instant;

const BEAT: Duration = Duration::from_millis(10);

#[derive(Default)]
pub struct Heart {
    beats: AtomicU64,
    /// The worst delay in microseconds.
    lag: AtomicU64,
    failed_opens: AtomicU64,
}

impl Heart {
    pub fn beat_on(runtime: &Handle) -> Arc<Heart> {
        let heart = Arc::new(Heart::default());
        let beating = Arc::clone(&heart);
        runtime.spawn(async move {
            loop {
                let due = Instant::now() + BEAT;
                tokio::time::sleep_until(due).await;
                beating.beat(due.elapsed());
            }
        });
        heart
    }

    fn beat(&self, lag: Duration) {
        self.beats.fetch_add(1, Ordering::Relaxed);
        self.lag.fetch_max(lag.as_micros() as u64, Ordering::Relaxed);
        if File::open("/dev/null").is_err() {
            self.failed_opens.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn report(&self) -> Value {
        json!({
            "beats": self.beats.load(Ordering::Relaxed),
            "lag_us": self.lag.load(Ordering::Relaxed),
            "failed_opens": self.failed_opens.load(Ordering::Relaxed),
        })
    }

    pub fn reset(&self) {
        for counter in [&self.beats, &self.lag, &self.failed_opens] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}
