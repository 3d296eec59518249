//! Serves what cron jobs and scripts leave in a directory of `.prom` files, as the textfile collector of node_exporter does.
//!
//! A job writes a file under another name and renames it, so that no scrape reads half of it:
//! `echo 'backup_bytes 123' >dir/backup.tmp && mv dir/backup.tmp dir/backup.prom`.
//!
//! Run `cargo run --example textfile -- 0.0.0.0:9191 dir`, and `curl localhost:9191/metrics` in another terminal. Ctrl-c ends
//! the program.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{BoxError, Server, collector, shutdown_signal};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = run().await {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let addr = arguments.next().unwrap_or_else(|| "0.0.0.0:9191".to_owned());
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let shutdown = shutdown_signal();

    let registry = Registry::new();
    registry.register(Box::new(collector::exposition(move |text| read(&directory, text))))?;

    let guard = Server::builder().registry(registry).listen(addr).start()?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));
    shutdown.await;
    guard.shutdown().await;
    Ok(())
}

/// Appends all files, and what node_exporter says of them. Of two series that are the same the first is served.
fn read(directory: &Path, text: &mut String) -> Result<(), BoxError> {
    let (mut times, mut error) = (String::new(), 0);
    for path in prom_files(directory)? {
        // Skips unreadable files and those of OpenMetrics, so that the other files are read as text 0.0.4.
        match read_file(&path) {
            Ok((file, seconds)) if !is_openmetrics(&file) => {
                text.push_str(&file);
                text.push('\n');
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                writeln!(times, "textfile_mtime_seconds{{file={name:?}}} {seconds}")?;
            }
            _ => error = 1,
        }
    }
    writeln!(text, "# HELP textfile_mtime_seconds When a file was last written.")?;
    writeln!(text, "# TYPE textfile_mtime_seconds gauge\n{times}")?;
    writeln!(text, "# HELP textfile_scrape_error Whether a file was skipped.")?;
    writeln!(text, "# TYPE textfile_scrape_error gauge\ntextfile_scrape_error {error}")?;
    Ok(())
}

/// Returns the text of a file, and when it was written, in seconds since 1970.
fn read_file(path: &Path) -> Result<(String, f64), BoxError> {
    let modified = fs::metadata(path)?.modified()?;
    Ok((fs::read_to_string(path)?, modified.duration_since(UNIX_EPOCH)?.as_secs_f64()))
}

/// Returns whether `# EOF`, UNIT or a type marks OpenMetrics, which would make OpenMetrics of the joined text. So would an
/// exemplar, which this example does not look for.
fn is_openmetrics(file: &str) -> bool {
    let types = [" info", " stateset", " unknown", " gaugehistogram"];
    file.lines().any(|line| {
        line == "# EOF"
            || line.starts_with("# UNIT ")
            || line.starts_with("# TYPE ") && types.iter().any(|kind| line.ends_with(kind))
    })
}

/// Returns the files of a directory, in the order of their names.
fn prom_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<PathBuf>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "prom"));
    paths.sort();
    Ok(paths)
}
