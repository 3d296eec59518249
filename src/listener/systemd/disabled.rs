//! Without the feature `systemd` nobody is told. This keeps its absence out of everything else.

/// Tells nobody anything.
#[derive(Debug)]
pub(crate) struct Notice;

impl Notice {
    pub(crate) fn ready() -> Self {
        Notice
    }

    pub(crate) fn stopping(self) {}
}
