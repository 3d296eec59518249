//! Compares a whole scrape with `gather()` alone, and with the published 0.2.1: `gather()` and
//! `prometheus::TextEncoder` into a `Vec`.
//!
//! `cargo bench --bench scrape --all-features` times them and prints ratios at its end. `cargo test
//! --benches` runs everything once, and checks that all give the same bytes. With `LEVELS=1` in the
//! environment it prints the cost and the gain of each level of each coding instead.
//! `src/exposition/compress/` uses the levels chosen from that table.

mod contenders;
mod measure;
mod workload;

use std::{hint::black_box, thread, time::Instant};

use bytes::Bytes;
use contenders::{scrape, text_encoder};
use criterion::{BenchmarkId, Criterion, Throughput};
use measure::median;
use prometheus::Registry;
use prometheus_hyper::internals::{Coding, codings};

fn main() {
    // As in a server: one long-lived thread that is not the first one.
    let thread = thread::Builder::new().name("gather".to_owned()).spawn(bench).expect("a thread");
    thread.join().expect("no panic");
}

fn bench() {
    let timed = measure::timed();
    if timed && std::env::var_os("LEVELS").is_some() {
        return levels::print(&workload::registry(100_000, 1, 1));
    }

    let mut criterion = measure::criterion();
    let mut ratios = Vec::new();
    for &series in measure::sizes() {
        let registry = workload::registry(series, 1, 1);
        let expected = text_encoder(&registry.gather());
        let contenders = contenders();
        for (name, coding, scrape) in &contenders {
            let body = scrape(&registry);
            let decoded = coding.map(|coding| decode(coding, &body.concat()));
            assert!(decoded.is_none_or(|decoded| decoded == expected), "{name}/{series} differs");
        }
        time(&mut criterion, series, &registry, &contenders);
        let rounds = if timed { (1_000_000 / series).clamp(15, 201) } else { 3 };
        ratios.push(compare(series, &registry, &contenders, rounds));
    }
    criterion.final_summary();
    println!("{}", ratios.join("\n"));
}

type Scrape = Box<dyn Fn(&Registry) -> Vec<Bytes>>;

/// The published version first, then gathering alone, then ours in each coding. Each comes with the coding of
/// its result.
fn contenders() -> Vec<(String, Option<Coding>, Scrape)> {
    let published: Scrape = Box::new(|registry| vec![text_encoder(&registry.gather()).into()]);
    let gather: Scrape = Box::new(|registry| {
        drop(black_box(registry.gather()));
        Vec::new()
    });
    let mut contenders =
        vec![("0.2.1".to_owned(), Some(Coding::Identity), published), ("gather".to_owned(), None, gather)];
    for coding in [Coding::Identity].into_iter().chain(codings()) {
        let name = coding.names()[0].to_owned();
        contenders.push((name, Some(coding), Box::new(move |registry| scrape(registry, coding))));
    }
    contenders
}

fn decode(coding: Coding, body: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Identity => body.to_vec(),
        Coding::Gzip => miniz_oxide::inflate::decompress_to_vec(&body[10..]).expect("a deflate stream"),
        Coding::Zstd => {
            let mut decoded = Vec::new();
            let mut decoder = ruzstd::decoding::StreamingDecoder::new(body).expect("a zstd frame");
            std::io::Read::read_to_end(&mut decoder, &mut decoded).expect("a zstd stream");
            decoded
        }
    }
}

fn time(
    criterion: &mut Criterion,
    series: usize,
    registry: &Registry,
    contenders: &[(String, Option<Coding>, Scrape)],
) {
    let mut group = criterion.benchmark_group("scrape");
    group.throughput(Throughput::Elements(series as u64));
    for (name, _, scrape) in contenders {
        group.bench_with_input(BenchmarkId::new(name, series), registry, |bencher, registry| {
            bencher.iter(|| scrape(black_box(registry)));
        });
    }
    group.finish();
}

/// Prints the medians over interleaved rounds, so that other work of the machine affects all. Prints each
/// speed relative to the published version.
fn compare(
    series: usize,
    registry: &Registry,
    contenders: &[(String, Option<Coding>, Scrape)],
    rounds: usize,
) -> String {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for ((_, _, scrape), times) in contenders.iter().zip(&mut times) {
            let start = Instant::now();
            black_box(scrape(black_box(registry)));
            times.push(start.elapsed());
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    let columns = contenders
        .iter()
        .zip(&medians)
        .map(|((name, ..), time)| format!("{name} {:.2} ms ({:.1}x)", time * 1e3, medians[0] / time));
    format!("ratio {series}: {}", columns.collect::<Vec<_>>().join(", "))
}

/// The cost and the gain of the levels.
mod levels {
    use super::*;

    /// Compresses. Returns the size of the body and, if known, the memory of the stream.
    type Level = (String, Box<dyn Fn(&[Bytes]) -> (usize, Option<usize>)>);

    const ROUNDS: usize = 21;

    pub(super) fn print(registry: &Registry) {
        let plain = scrape(registry, Coding::Identity);
        let bytes: usize = plain.iter().map(Bytes::len).sum();
        let levels: Vec<Level> = gzip().into_iter().chain(zstd()).collect();
        let mut times = vec![Vec::with_capacity(ROUNDS); levels.len()];
        for _ in 0..ROUNDS {
            for ((_, compress), times) in levels.iter().zip(&mut times) {
                let start = Instant::now();
                black_box(compress(black_box(&plain)));
                times.push(start.elapsed());
            }
        }
        println!("{bytes} bytes\n\n| level | ms | MB/s | size | share of plain | memory of the stream |");
        println!("| --- | --- | --- | --- | --- | --- |");
        for ((name, compress), times) in levels.iter().zip(times) {
            let (time, (size, memory)) = (median(times), compress(&plain));
            let speed = bytes as f64 / 1e6 / time;
            let share = 100.0 * size as f64 / bytes as f64;
            let memory = memory.map_or(String::new(), |memory| format!("{} KiB", memory / 1024));
            println!("| {name} | {:.1} | {speed:.0} | {size} | {share:.1} % | {memory} |", time * 1e3);
        }
    }

    #[cfg(not(feature = "gzip"))]
    fn gzip() -> Vec<Level> {
        Vec::new()
    }

    #[cfg(feature = "gzip")]
    fn gzip() -> Vec<Level> {
        use flate2::{Compression, write::GzEncoder};
        let level = |level| -> Level {
            let compress = move |chunks: &[Bytes]| {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
                for chunk in chunks {
                    std::io::Write::write_all(&mut encoder, chunk).expect("writing to memory succeeds");
                }
                (encoder.finish().expect("writing to memory succeeds").len(), None)
            };
            (format!("gzip {level}"), Box::new(compress))
        };
        (1..=6).map(level).collect()
    }

    #[cfg(not(feature = "zstd"))]
    fn zstd() -> Vec<Level> {
        Vec::new()
    }

    #[cfg(feature = "zstd")]
    fn zstd() -> Vec<Level> {
        use zstd::stream::write::Encoder;
        use zstd::zstd_safe::{CCtx, CParameter};
        let level = |(level, window): (i32, Option<u32>)| -> Level {
            let compress = move |chunks: &[Bytes]| {
                let mut context = CCtx::create();
                context.set_parameter(CParameter::CompressionLevel(level)).expect("a level of zstd");
                if let Some(window) = window {
                    context.set_parameter(CParameter::WindowLog(window)).expect("a window of zstd");
                }
                let mut encoder = Encoder::with_context(Vec::new(), &mut context);
                for chunk in chunks {
                    std::io::Write::write_all(&mut encoder, chunk).expect("writing to memory succeeds");
                }
                let size = encoder.finish().expect("writing to memory succeeds").len();
                (size, Some(context.sizeof()))
            };
            let window = window.map_or("default window".to_owned(), |window| format!("window 2^{window}"));
            (format!("zstd {level}, {window}"), Box::new(compress))
        };
        let levels = [-5, -3, -1, 1, 2, 3, 4, 5].map(|level| (level, None));
        let windows = [15, 16, 17, 18, 19, 20, 21, 23].map(|window| (1, Some(window)));
        let others = [-1, 2, 3].map(|level| (level, Some(17)));
        levels.into_iter().chain(windows).chain(others).map(level).collect()
    }
}
