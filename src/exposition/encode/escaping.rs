//! How names outside the legacy alphabet are escaped.

/// What happens to names outside `[a-zA-Z_:][a-zA-Z0-9_:]*`
/// (<https://prometheus.io/docs/instrumenting/escaping_schemes/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Escaping {
    /// Nothing: they go out as they are, quoted where the format is text.
    AllowUtf8,
    /// Every other character becomes `_`.
    Underscores,
    /// `.` becomes `_dot_`, `_` and every other character `__`.
    Dots,
    /// `U__`, and then `_` becomes `__` and every other character its code point between underscores.
    Values,
}

impl Escaping {
    /// Every escaping.
    pub const ALL: [Escaping; 4] =
        [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values];

    /// The value of the parameter `escaping` that names it.
    pub const fn name(self) -> &'static str {
        match self {
            Escaping::AllowUtf8 => "allow-utf-8",
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
        }
    }
}
