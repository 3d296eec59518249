//! What is wrong, and where; never a word of a secret.

use std::fmt;
use std::io;

use crate::util::io_error;

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

/// Why a web-config file can not be used: `file:line: key: what`. The option or flag that names the file is the builder's to
/// say.
pub(super) fn error_of(file: &str, problem: &Problem) -> io::Error {
    io_error::new(io::ErrorKind::InvalidInput, format!("{file}:{problem}"))
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
