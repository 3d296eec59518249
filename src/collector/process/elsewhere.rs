//! Reads the process on systems without Linux' `/proc`.
//!
//! The system calls need unsafe code, so `metrics-process` does it.

use metrics_process::collector::{Metrics, collect};

use super::reading::{Kept, Reading};

/// Reads the process. These systems store the start as a time and need no descriptor, so no value is kept.
pub(super) fn read(_: &Kept) -> Reading {
    reading(collect())
}

fn reading(metrics: Metrics) -> Reading {
    Reading {
        cpu_seconds: metrics.cpu_seconds_total,
        resident_bytes: number(metrics.resident_memory_bytes),
        virtual_bytes: number(metrics.virtual_memory_bytes),
        virtual_max_bytes: number(metrics.virtual_memory_max_bytes.map(limit)),
        open_fds: number(metrics.open_fds),
        max_fds: number(metrics.max_fds.map(limit)),
        start_time_seconds: number(metrics.start_time_seconds),
        threads: number(metrics.threads),
    }
}

/// Converts a limit of `metrics-process`, where "0 indicates 'unlimited'".
///
/// [`soft_limit`](crate::util::limits::soft_limit) has the reason for the highest number. On macOS it is the system's
/// 2⁶³ - 1, as in client_golang.
fn limit(limit: u64) -> u64 {
    if limit == 0 { u64::MAX } else { limit }
}

fn number(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_each_value() {
        let metrics = Metrics {
            cpu_seconds_total: Some(1.25),
            open_fds: Some(2),
            max_fds: Some(3),
            virtual_memory_bytes: Some(4),
            virtual_memory_max_bytes: Some(5),
            resident_memory_bytes: Some(6),
            start_time_seconds: Some(7),
            threads: Some(8),
        };
        let expected = Reading {
            cpu_seconds: Some(1.25),
            resident_bytes: Some(6.0),
            virtual_bytes: Some(4.0),
            virtual_max_bytes: Some(5.0),
            open_fds: Some(2.0),
            max_fds: Some(3.0),
            start_time_seconds: Some(7.0),
            threads: Some(8.0),
        };
        assert_eq!(reading(metrics), expected);
    }

    #[test]
    fn converts_unknown_values_and_unlimited_limits() {
        assert_eq!(reading(Metrics::default()), Reading::default());
        let metrics = Metrics {
            max_fds: Some(0),
            virtual_memory_max_bytes: Some(0),
            open_fds: Some(0),
            ..Metrics::default()
        };
        let unlimited = Some(18446744073709551615.0);
        let expected = Reading {
            max_fds: unlimited,
            virtual_max_bytes: unlimited,
            open_fds: Some(0.0),
            ..Reading::default()
        };
        assert_eq!(reading(metrics), expected);
    }
}
