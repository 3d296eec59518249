//! Faults and their position, without any secret.

use std::fmt;
use std::io;

use crate::util::io_error;

/// A fault at a position in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    line: usize,
    /// The path of keys, such as `tls_server_config.cert_file`. Empty for the root.
    key: String,
    what: String,
}

impl Problem {
    pub(super) fn new(line: usize, what: impl Into<String>) -> Problem {
        Problem { line, key: String::new(), what: what.into() }
    }

    /// Creates a fault at a key of the file. The key is shown only if it looks like a name.
    pub(super) fn at(line: usize, key: &str, what: impl Into<String>) -> Problem {
        Problem { line, key: shown(key).to_owned(), what: what.into() }
    }

    /// Creates a fault at a key within a section.
    pub(super) fn within(line: usize, section: &str, key: &str, what: impl Into<String>) -> Problem {
        Problem { line, key: join(section, shown(key)), what: what.into() }
    }
}

/// Returns the error of an unusable web-config file: `file:line: key: what`. The builder adds the option or flag that
/// names the file.
pub(super) fn error_of(file: &str, problem: &Problem) -> io::Error {
    io_error::new(io::ErrorKind::InvalidInput, format!("{file}:{problem}"))
}

/// Formats as `line: key: what`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line)?;
        [&self.key, &self.what]
            .into_iter()
            .filter(|part| !part.is_empty())
            .try_for_each(|part| write!(f, ": {part}"))
    }
}

/// Returns the text if it looks like a name. With a wrong indent, a line of a private key or a hash may be in the
/// position of a name. Such a line has 64 characters, and a hash begins with a dollar.
pub(super) fn shown(text: &str) -> &str {
    let may_be =
        text.len() <= 48 && !text.is_empty() && !text.contains('$') && !text.contains(char::is_control);
    if may_be { text } else { "(not shown)" }
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}
