//! Shared code of the benches.
#![allow(dead_code, reason = "each bench uses a part of it")]

use std::time::Duration;

use criterion::Criterion;

/// `cargo bench` passes this argument. Anything else is a test.
pub(crate) fn timed() -> bool {
    let given = |wanted: &str| std::env::args().any(|arg| arg == wanted);
    given("--bench") && !given("--test")
}

/// Numbers of series to measure.
pub(crate) fn sizes() -> &'static [usize] {
    if timed() { &[1_000, 10_000, 100_000] } else { &[1_000] }
}

pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}

/// The median in seconds.
pub(crate) fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}
