//! Measures a hello program in a clean release build: crates, CPU time of the build, stripped size.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

use crate::bench::Bench;
use crate::locked::version;
use crate::outcome::Outcome;
use crate::results::{Value, each};
use crate::stats::median;

pub(crate) const KEY: &str = "build";
pub(crate) const TITLE: &str = "A hello program: crates, CPU time of a clean release build, stripped size";

pub(crate) const CPU: &str = "CPU of the build";
pub(crate) const SIZE: &str = "stripped size";
pub(crate) const CASE: &str = "hello";
pub(crate) const BARE: &str = "this prometheus-hyper, no default features";

/// The package in `hello/`, its row, and whether default features are on.
const HELLOS: [(&str, &str, bool); 7] = [
    ("hello-prometheus-hyper", "prometheus-hyper", true),
    ("hello-prometheus-hyper", "prometheus-hyper", false),
    ("hello-published", "published", true),
    ("hello-prometheus_exporter", "prometheus_exporter", true),
    ("hello-metrics-exporter-prometheus", "metrics-exporter-prometheus", true),
    ("hello-prometheus-client", "prometheus-client", true),
    ("hello-axum", "axum", true),
];

pub(crate) fn measure(bench: &mut Bench) -> Outcome<()> {
    fetch()?;
    let builds = bench.processes(3);
    let mut spent = vec![Vec::new(); HELLOS.len()];
    let mut sizes = vec![0.0; HELLOS.len()];
    for _ in 0..builds {
        for (at, (package, _, defaults)) in HELLOS.into_iter().enumerate() {
            // The first round has no time limit.
            if spent[at].iter().sum::<f64>() > 10.0 * bench.patience.as_secs_f64() {
                continue;
            }
            eprintln!("build: {package}{}", if defaults { "" } else { " without default features" });
            let (cpu, size) = clean(package, defaults)?;
            spent[at].push(cpu);
            sizes[at] = size;
        }
    }
    for (at, (package, krate, defaults)) in HELLOS.into_iter().enumerate() {
        let name = match (krate, defaults) {
            ("prometheus-hyper", true) => "this prometheus-hyper".to_owned(),
            ("prometheus-hyper", false) => BARE.to_owned(),
            ("published", _) => format!("prometheus-hyper {}", version("prometheus-hyper", true)),
            ("axum" | "prometheus-client", _) => {
                format!("{krate} {} and its server", version(krate, true))
            }
            _ => format!("{krate} {}", version(krate, true)),
        };
        bench.results.add(KEY, CASE, &name, "crates", Value::Count(crates(package, defaults)?));
        bench.results.add(KEY, CASE, &name, CPU, Value::Seconds(median(&spent[at])));
        bench.results.add(KEY, CASE, &name, SIZE, Value::Bytes(sizes[at]));
    }
    Ok(())
}

fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // These are settings of the surrounding run.
    cargo.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // A compiler cache would skip the build.
    cargo.env("RUSTC_WRAPPER", "").env("RUSTC_WORKSPACE_WRAPPER", "");
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit());
    cargo
}

fn fetch() -> Outcome<()> {
    let fetched = cargo().args(["fetch", "--quiet", "--locked"]).status()?;
    if fetched.success() { Ok(()) } else { Err("cargo fetch failed".into()) }
}

/// Returns the CPU time of cargo and its children in seconds, and the size of the program.
fn clean(package: &str, defaults: bool) -> Outcome<(f64, f64)> {
    let target = env::temp_dir().join(format!("prometheus-hyper-comparison-hello-{}", std::process::id()));
    let before = children()?;
    let built = cargo()
        .args([
            "build",
            "--release",
            "--quiet",
            "--locked",
            "--offline",
            "--config",
            "profile.release.strip=true",
        ])
        .args(["--package", package, "--target-dir"])
        .arg(&target)
        .args(if defaults { &[] as &[&str] } else { &["--no-default-features"] })
        .status();
    let size = fs::metadata(target.join("release").join(package)).map(|program| program.len() as f64);
    let cpu = children()? - before;
    remove(&target);
    if !built?.success() {
        return Err(format!("{package} does not build").into());
    }
    Ok((cpu.as_secs_f64(), size?))
}

fn remove(folder: &Path) {
    if let Err(failure) = fs::remove_dir_all(folder) {
        eprintln!("{}: {failure}", folder.display());
    }
}

/// Returns the CPU time of all children that have ended, and of their children.
fn children() -> Outcome<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let times = [usage.user_time(), usage.system_time()];
    Ok(times.map(|time| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)).into_iter().sum())
}

/// Counts distinct names, without the program itself.
fn crates(package: &str, defaults: bool) -> Outcome<f64> {
    let tree = cargo()
        .args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--package",
            package,
        ])
        .args(if defaults { &[] as &[&str] } else { &["--no-default-features"] })
        .output()?;
    if !tree.status.success() {
        return Err(format!("cargo tree fails for {package}").into());
    }
    let text = String::from_utf8(tree.stdout)?;
    let names = each(text.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()));
    Ok(names.len() as f64 - 1.0)
}
