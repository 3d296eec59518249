//! Errors of foreign code.

use std::error::Error;

/// Any error: what hooks and the functions of collectors may return.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Sources beyond so many bytes are not read: a chain may have no end.
const LONG: usize = 1000;

/// Returns an error and its sources: `cannot ask db1: connection refused`.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source.filter(|_| chain.len() < LONG) {
        chain = format!("{chain}: {error}");
        source = error.source();
    }
    chain
}
