//! Text read into families, in the formats in which other libraries write it.
//!
//! `cargo bench --bench decode` prints for each the median in MB/s, the drop of the families included; `cargo test --benches` only
//! checks that nothing is skipped.

mod contenders;
mod measure;
mod workload;

use std::{fmt::Write, hint::black_box, time::Instant};

use contenders::text_encoder;
use measure::median;
use prometheus_hyper::internals::{EscapedFormat, Faults, Names, OPENMETRICS_100, decode, encode};
use workload::registry;

/// What the registry has, and the shares of its series that are counters and in histograms.
const SHAPES: [(&str, usize, usize); 3] = [("mix", 1, 1), ("counters", 1, 0), ("histograms", 0, 1)];

fn main() {
    for (shape, counters, histograms) in SHAPES {
        for &series in measure::sizes() {
            let families = registry(series, counters, histograms).gather();
            let text = String::from_utf8(text_encoder(&families)).expect("text");
            time(&format!("{shape}/{series} text"), &text, series);
            let mut chunks = Vec::new();
            encode(EscapedFormat::plain(&OPENMETRICS_100), &Names::default(), &families, &mut chunks);
            let text = String::from_utf8(chunks.concat()).expect("text");
            time(&format!("{shape}/{series} OpenMetrics"), &text, series);
        }
    }
    for &series in measure::sizes() {
        let mut text = String::new();
        for at in 0..series {
            let _ = write!(
                text,
                "# HELP gauge_{at} Help.\n# TYPE gauge_{at} gauge\ngauge_{at} {}\n",
                at as f64 / 8.0
            );
        }
        time(&format!("families/{series} text"), &text, series);
    }
}

fn time(name: &str, text: &str, series: usize) {
    let rounds = if measure::timed() { (3_000_000 / series).clamp(21, 401) } else { 1 };
    let mut times = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        let (families, faults) = decode(black_box(text), false);
        assert_eq!(faults, Faults::default());
        drop(black_box(families));
        times.push(start.elapsed());
    }
    println!("decode {name}: {:.0} MB/s", text.len() as f64 / median(times) / 1e6);
}
