//! Without the feature `auth` there are no credentials. This keeps their absence out of everything else.

/// Empty, and no lock.
#[derive(Debug, Default)]
pub(crate) struct Keyring(());

impl Keyring {
    pub(crate) fn is_locked(&self) -> bool {
        false
    }

    pub(crate) fn faults(&self) -> &[String] {
        &[]
    }
}
