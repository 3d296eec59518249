//! Errors of foreign code.

use std::error::Error;

/// Any error. Hooks and the functions of collectors may return it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Maximum length of a chain in bytes, because a chain of sources may never end.
const LONG: usize = 1000;

/// Formats an error with its sources: `cannot ask db1: connection refused`.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source.filter(|_| chain.len() < LONG) {
        chain = format!("{chain}: {error}");
        source = error.source();
    }
    chain
}
