//! An [`io::Error`] whose payload is a sentence and keeps its cause.
//!
//! `fn main() -> Result<(), Box<dyn Error>>` prints the `Debug` of its error. The `Debug` of an `io::Error` contains
//! that of its payload. This payload prints the sentence, without quotes and fields.

use std::error::Error;
use std::fmt;
use std::io;

/// The payload. Its text contains the cause's text, because most programs print no chain of sources.
struct Sentence {
    text: String,
    cause: Option<io::Error>,
}

/// Creates an error of this kind with this text.
pub(crate) fn new(kind: io::ErrorKind, text: impl Into<String>) -> io::Error {
    caused(kind, text, None)
}

/// Creates an error with a cause of the operating system. `text` already contains the cause's text.
pub(crate) fn caused(kind: io::ErrorKind, text: impl Into<String>, cause: Option<io::Error>) -> io::Error {
    io::Error::new(kind, Sentence { text: text.into(), cause })
}

/// Returns the error with `what: ` before its text. The cause, with its `raw_os_error`, stays available as
/// [`source`](Error::source).
pub(crate) fn annotated(error: io::Error, what: impl fmt::Display) -> io::Error {
    let kind = error.kind();
    let Sentence { text, cause } = error
        .downcast::<Sentence>()
        .unwrap_or_else(|error| Sentence { text: error.to_string(), cause: Some(error) });
    caused(kind, format!("{what}: {text}"), cause)
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Sentence {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOENT: i32 = 2;

    #[test]
    fn annotations_precede_the_text_and_keep_the_cause() {
        let missing = io::Error::from_raw_os_error(ENOENT);
        let text = missing.to_string();
        let error = annotated(annotated(missing, "a.pem"), format_args!("tls_{}", "files"));
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), format!("tls_files: a.pem: {text}"));
        assert_eq!(format!("{error:?}"), format!("Custom {{ kind: NotFound, error: {error} }}"));
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        assert_eq!(cause.and_then(io::Error::raw_os_error), Some(ENOENT));
    }

    #[test]
    fn new_errors_have_no_cause() {
        let error = annotated(new(io::ErrorKind::InvalidInput, "no \"port\""), "listen");
        assert_eq!(error.to_string(), "listen: no \"port\"");
        assert_eq!(format!("{error:?}"), "Custom { kind: InvalidInput, error: listen: no \"port\" }");
        assert!(error.source().is_none());
    }
}
