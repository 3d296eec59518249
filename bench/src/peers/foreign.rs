//! Servers in other languages, where their Debian packages are: golang-go with golang-github-prometheus-client-golang-dev,
//! python3-prometheus-client.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::outcome::Outcome;

/// What is there of them; else why not.
pub(crate) struct Programs {
    go: Result<Program, String>,
    python: Result<Program, String>,
}

struct Program {
    run: Vec<PathBuf>,
    version: String,
}

/// Where Debian has Go's libraries.
const GOPATH: &str = "/usr/share/gocode";

impl Programs {
    pub(crate) fn find() -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        Self { go: go(&sources), python: python(&sources) }
    }

    pub(crate) fn go(&self) -> Outcome<Command> {
        command(&self.go)
    }

    pub(crate) fn python(&self) -> Outcome<Command> {
        command(&self.python)
    }

    pub(crate) fn go_version(&self) -> String {
        version(&self.go)
    }

    pub(crate) fn python_version(&self) -> String {
        version(&self.python)
    }

    /// Why they are not measured.
    pub(crate) fn go_missing(&self) -> Option<&str> {
        self.go.as_ref().err().map(String::as_str)
    }

    pub(crate) fn python_missing(&self) -> Option<&str> {
        self.python.as_ref().err().map(String::as_str)
    }
}

fn command(program: &Result<Program, String>) -> Outcome<Command> {
    let program = program.as_ref().map_err(Clone::clone)?;
    let (first, others) = program.run.split_first().ok_or("no program")?;
    let mut command = Command::new(first);
    command.args(others);
    Ok(command)
}

fn version(program: &Result<Program, String>) -> String {
    program.as_ref().map_or_else(|_| String::new(), |program| format!(" {}", program.version))
}

fn go(sources: &Path) -> Result<Program, String> {
    let Some(version) = told("go", &["version"]) else {
        return Err("go is not installed (Debian's golang-go)".to_owned());
    };
    let library = Path::new(GOPATH).join("src/github.com/prometheus/client_golang");
    if !library.is_dir() {
        let missing =
            "Go's client_golang is not installed (Debian's golang-github-prometheus-client-golang-dev)";
        return Err(missing.to_owned());
    }
    let folder = env::temp_dir().join(format!("prometheus-hyper-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|failure| failure.to_string())?;
    let program = folder.join("promhttp");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(sources.join("promhttp.go"))
        .envs([("GOPATH", GOPATH), ("GO111MODULE", "off"), ("GOFLAGS", "")])
        .env("GOCACHE", env::temp_dir().join("prometheus-hyper-bench-go"))
        .output()
        .map_err(|failure| failure.to_string())?;
    if !built.status.success() {
        return Err(format!("promhttp.go does not build: {}", String::from_utf8_lossy(&built.stderr).trim()));
    }
    let go = version.split(' ').nth(2).unwrap_or_default().to_owned();
    let library =
        told("dpkg-query", &["-W", "-f", "${Version}", "golang-github-prometheus-client-golang-dev"]);
    let version = format!("{} ({go})", library.unwrap_or_default().split('-').next().unwrap_or_default());
    Ok(Program { run: vec![program], version })
}

/// `PYTHON`, or that of the path, or Debian's: the first one that has the library.
fn python(sources: &Path) -> Result<Program, String> {
    let named = env::var("PYTHON").ok();
    let candidates = named.iter().map(String::as_str).chain(["python3", "/usr/bin/python3"]);
    let code = "import importlib.metadata, platform, prometheus_client\n\
                print(importlib.metadata.version('prometheus_client'), f'(Python {platform.python_version()})')";
    for python in candidates {
        if let Some(version) = told(python, &["-c", code]) {
            return Ok(Program { run: vec![python.into(), sources.join("client.py")], version });
        }
    }
    Err("no Python with prometheus_client is installed (Debian's python3-prometheus-client, or PYTHON=…)"
        .to_owned())
}

/// What it prints, if it does and all is well.
fn told(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

impl Drop for Program {
    fn drop(&mut self) {
        // Go's alone is made here.
        if let [built] = &self.run[..] {
            if let Some(folder) = built.parent() {
                let _ = fs::remove_dir_all(folder);
            }
        }
    }
}
