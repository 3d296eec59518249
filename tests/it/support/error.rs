//! Errors for tests.

use std::error::Error;
use std::fmt;

/// An error with a cause. Its text does not contain the text of the cause.
#[derive(Debug)]
pub(crate) struct Caused(pub(crate) &'static str, pub(crate) Option<&'static Caused>);

impl fmt::Display for Caused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Caused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.map(|cause| cause as _)
    }
}
