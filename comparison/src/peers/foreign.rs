//! Servers in other languages, which `comparison/peers/fetch.sh` fetches and builds.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::outcome::Outcome;

pub(crate) struct Programs {
    pub(crate) go: Program,
    pub(crate) python: Program,
}

/// A program that serves, or the reason why there is none.
pub(crate) struct Program {
    library: &'static str,
    found: Result<Found, String>,
}

struct Found {
    run: Vec<PathBuf>,
    version: String,
}

impl Programs {
    pub(crate) fn find() -> Self {
        let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
        let fetched = bench.join("../target/peers");
        Self {
            go: Program { library: "Go promhttp", found: go(fetched.join("promhttp")) },
            python: Program {
                library: "Python prometheus_client",
                found: python(fetched.join("venv/bin/python"), bench.join("peers/client.py")),
            },
        }
    }
}

impl Program {
    pub(crate) fn command(&self) -> Outcome<Command> {
        let found = self.found.as_ref().map_err(Clone::clone)?;
        let (first, others) = found.run.split_first().ok_or("no program")?;
        let mut command = Command::new(first);
        command.args(others);
        Ok(command)
    }

    /// Includes its versions.
    pub(crate) fn name(&self) -> String {
        match &self.found {
            Ok(found) => format!("{} {}", self.library, found.version),
            Err(_) => self.library.to_owned(),
        }
    }

    /// The reason why it is not measured.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.found.as_ref().err().map(String::as_str)
    }
}

fn go(program: PathBuf) -> Result<Found, String> {
    let version = told(&program, &["version"]).ok_or("not fetched (comparison/peers/fetch.sh go)")?;
    Ok(Found { run: vec![program], version })
}

/// Returns `PYTHON`, or the fetched one.
fn python(fetched: PathBuf, client: PathBuf) -> Result<Found, String> {
    let code = "import importlib.metadata, platform, prometheus_client\n\
                print(importlib.metadata.version('prometheus_client'), f'(Python {platform.python_version()})')";
    let (python, missing) = match env::var_os("PYTHON") {
        Some(named) => (PathBuf::from(named), "PYTHON has no prometheus_client"),
        None => (fetched, "not fetched (comparison/peers/fetch.sh python)"),
    };
    let version = told(&python, &["-c", code]).ok_or(missing)?;
    Ok(Found { run: vec![python, client], version })
}

/// Returns its output, if it starts and succeeds.
fn told(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
