//! The escaping schemes of names.

/// An escaping scheme: how names outside `[a-zA-Z_:][a-zA-Z0-9_:]*` are written
/// (<https://prometheus.io/docs/instrumenting/escaping_schemes/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Escaping {
    /// Names are written unchanged. Text formats quote them.
    AllowUtf8,
    /// Every other character becomes `_`.
    Underscores,
    /// `.` becomes `_dot_`, `_` and every other character `__`.
    Dots,
    /// The name begins with `U__`. `_` becomes `__`, every other character its code point between underscores.
    Values,
}

impl Escaping {
    /// All schemes, in the order of their declaration.
    pub const ALL: [Escaping; 4] =
        [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values];

    /// Returns the value of the media type parameter `escaping`.
    pub const fn name(self) -> &'static str {
        match self {
            Escaping::AllowUtf8 => "allow-utf-8",
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
        }
    }
}
