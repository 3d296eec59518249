//! Errors of foreign code.

use std::error::Error;

/// Any error. Hooks and the functions of collectors may return it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Maximum length of an error or a panic's message in the log, in characters.
const LONG: usize = 1000;

/// Maximum length of a metric name in the log, in characters.
const LONG_NAME: usize = 100;

/// Formats an error with its sources: `cannot ask db1: connection refused`. Cut, because a chain may never end.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source.filter(|_| chain.len() < LONG) {
        chain = format!("{chain}: {error}");
        source = error.source();
    }
    cut(&chain)
}

/// Returns the beginning of a text of foreign code for the log.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(LONG).collect()
}

/// Returns the error unless the condition holds.
#[inline]
pub(crate) fn ensure<E>(holds: bool, error: E) -> Result<(), E> {
    if holds { Ok(()) } else { Err(error) }
}

/// Returns the beginning of a metric name for the log.
pub(crate) fn beginning(name: &str) -> String {
    name.chars().take(LONG_NAME).collect()
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Endless;

    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("again")
        }
    }

    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    #[test]
    fn chain_has_a_maximum_length() {
        let long = BoxError::from("\u{e9}".repeat(10 * LONG));
        assert_eq!(chain(&*long), "\u{e9}".repeat(LONG));
        assert_eq!(chain(&Endless).len(), LONG);
    }
}
