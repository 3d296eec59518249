//! Which connections may stay: each is admitted under the policy of its time, and ends once that no longer holds.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Gives a token to each connection. It is cancelled when the policy under which the connection was admitted no longer holds, and
/// when the server stops; to the connection these are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grants(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    all: CancellationToken,
    /// That of the policy in force.
    current: Mutex<CancellationToken>,
}

impl Default for Shared {
    fn default() -> Self {
        let all = CancellationToken::new();
        Shared { current: Mutex::new(all.child_token()), all }
    }
}

impl Grants {
    /// The token above those of all connections: cancelling it stops the server.
    pub(crate) fn all(&self) -> CancellationToken {
        self.0.all.clone()
    }

    /// The token for a connection that is admitted now. It is taken before the policy is looked at, so that no connection passes
    /// by an old one and stays by a new one.
    pub(crate) fn current(&self) -> CancellationToken {
        self.0.current.lock().clone()
    }

    /// Ends the connections that have been admitted so far. The new policy is in force by then.
    #[cfg(any(feature = "tls", test))]
    pub(crate) fn revoke(&self) {
        let new = self.0.all.child_token();
        let old = std::mem::replace(&mut *self.0.current.lock(), new);
        old.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_ends_those_before_it_and_a_stop_ends_all() {
        let grants = Grants::default();
        let before = grants.current();
        let too = grants.clone().current();
        grants.revoke();
        let after = grants.current();
        assert!(before.is_cancelled() && too.is_cancelled() && !after.is_cancelled());
        assert!(!grants.all().is_cancelled());
        grants.revoke();
        assert!(after.is_cancelled());
        let last = grants.current();
        grants.all().cancel();
        assert!(last.is_cancelled() && grants.current().is_cancelled());
        grants.revoke();
        assert!(grants.current().is_cancelled(), "the server has stopped");
    }
}
