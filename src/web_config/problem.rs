//! What is wrong, and where; never a word of a secret.

use std::fmt;
use std::io;
use std::path::Path;

/// What is wrong at a place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    line: usize,
    /// From the root, as in `tls_server_config.cert_file`; empty at the root.
    key: String,
    what: String,
}

impl Problem {
    pub(super) fn new(line: usize, what: impl Into<String>) -> Problem {
        Problem { line, key: String::new(), what: what.into() }
    }

    /// `key` is the file's own: only as much of it is shown as may be.
    pub(super) fn at(line: usize, key: &str, what: impl Into<String>) -> Problem {
        Problem { line, key: shown(key).to_owned(), what: what.into() }
    }

    /// The same within a section.
    pub(super) fn within(line: usize, section: &str, key: &str, what: impl Into<String>) -> Problem {
        Problem { line, key: join(section, shown(key)), what: what.into() }
    }
}

/// Why a web-config file can not be used: `web_config: file:line: key: what`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebConfigError {
    file: String,
    /// None if the file itself could not be read.
    problem: Option<Problem>,
    /// Why the file, or one that it names, could not be read.
    unread: Option<(io::ErrorKind, String)>,
}

impl WebConfigError {
    pub(super) fn new(file: &str, problem: Problem) -> WebConfigError {
        WebConfigError { file: file.to_owned(), problem: Some(problem), unread: None }
    }

    /// The web-config file could not be read.
    pub(super) fn unread(file: &str, error: &io::Error) -> WebConfigError {
        WebConfigError {
            file: file.to_owned(),
            problem: None,
            unread: Some((error.kind(), error.to_string())),
        }
    }

    /// A file that it names could not be read.
    pub(super) fn unread_named(
        file: &str,
        problem: Problem,
        path: &Path,
        error: &io::Error,
    ) -> WebConfigError {
        let what = format!("{}: {error}", path.display());
        WebConfigError { file: file.to_owned(), problem: Some(problem), unread: Some((error.kind(), what)) }
    }

    /// The kind for an [`io::Error`]: the system's where a file could not be read, else `InvalidInput`.
    pub(crate) fn kind(&self) -> io::ErrorKind {
        self.unread.as_ref().map_or(io::ErrorKind::InvalidInput, |(kind, _)| *kind)
    }
}

impl fmt::Display for WebConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "web_config: {}", self.file)?;
        if let Some(problem) = &self.problem {
            write!(f, ":{problem}")?;
        }
        match &self.unread {
            Some((_, why)) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

/// `line: key: what`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line)?;
        [&self.key, &self.what]
            .into_iter()
            .filter(|part| !part.is_empty())
            .try_for_each(|part| write!(f, ": {part}"))
    }
}

impl std::error::Error for WebConfigError {}

impl From<WebConfigError> for io::Error {
    fn from(error: WebConfigError) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

/// Text of the file where it looks like a name: what has slipped, by a wrong indent, to where a name should be may
/// be a line of a private key, which has 64 characters, or a hash, which begins with a dollar.
pub(super) fn shown(text: &str) -> &str {
    let may_be =
        text.len() <= 48 && !text.is_empty() && !text.contains('$') && !text.contains(char::is_control);
    if may_be { text } else { "(not shown)" }
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}
