//! The escaping schemes of names.

use crate::util::texts::texts;

texts! {
    /// An escaping scheme: how names outside `[a-zA-Z_:][a-zA-Z0-9_:]*` are written
    /// (<https://prometheus.io/docs/instrumenting/escaping_schemes/>).
    ///
    /// `name` is the value of the media type parameter `escaping`.
    pub enum Escaping: fn name {
        /// Names are written unchanged. Text formats quote them.
        AllowUtf8 = "allow-utf-8",
        /// Every other character becomes `_`.
        Underscores = "underscores",
        /// `.` becomes `_dot_`, `_` and every other character `__`.
        Dots = "dots",
        /// The name begins with `U__`. `_` becomes `__`, every other character its code point between underscores.
        Values = "values",
    }
}
