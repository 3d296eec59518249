//! Compares the text exposition of gathered families with `prometheus::TextEncoder` in the same run.
//!
//! `cargo bench --bench encode` times both and prints ratios at its end. `cargo test --benches` runs
//! everything once, and checks that both write the same bytes.

mod contenders;
mod measure;
mod workload;

use std::{hint::black_box, time::Instant};

use contenders::{ours, text_encoder};
use criterion::{BenchmarkId, Criterion, Throughput};
use measure::median;
use prometheus::proto::MetricFamily;
use workload::registry;

/// The registry's content, and the shares of counters and histograms in its series.
const SHAPES: [(&str, usize, usize); 3] = [("mix", 1, 1), ("counters", 1, 0), ("histograms", 0, 1)];

fn main() {
    let timed = measure::timed();

    let mut criterion = measure::criterion();
    let mut ratios = Vec::new();
    for (shape, counters, histograms) in SHAPES {
        for &series in measure::sizes() {
            let registry = registry(series, counters, histograms);
            let families = registry.gather();
            assert!(ours(&families).concat() == text_encoder(&families), "{shape}/{series} differ");
            if shape == "mix" {
                time(&mut criterion, series, &families);
            }
            let rounds = if timed { (3_000_000 / series).clamp(21, 401) } else { 3 };
            ratios.push(format!("ratio {shape}/{series}: {:.1}x", ratio(&families, rounds)));
        }
    }
    criterion.final_summary();
    println!("{}", ratios.join("\n"));
}

fn time(criterion: &mut Criterion, series: usize, families: &[MetricFamily]) {
    let mut group = criterion.benchmark_group("mix");
    group.throughput(Throughput::Elements(series as u64));
    group.bench_with_input(BenchmarkId::new("ours", series), families, |bencher, families| {
        bencher.iter(|| ours(black_box(families)));
    });
    group.bench_with_input(BenchmarkId::new("TextEncoder", series), families, |bencher, families| {
        bencher.iter(|| text_encoder(black_box(families)));
    });
    group.finish();
}

/// The time of `TextEncoder` divided by ours. It is the ratio of the medians over interleaved rounds, so that
/// other work of the machine affects both.
fn ratio(families: &[MetricFamily], rounds: usize) -> f64 {
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = Instant::now();
        black_box(ours(black_box(families)));
        our_times.push(start.elapsed());
        let start = Instant::now();
        black_box(text_encoder(black_box(families)));
        their_times.push(start.elapsed());
    }
    median(their_times) / median(our_times)
}
