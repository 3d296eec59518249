//! Tokens of admitted connections. A connection ends when the policy that admitted it is replaced.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Issues a token for each connection. The token is cancelled when the policy that admitted the connection is
/// replaced, and when the server stops. A connection treats both alike.
#[derive(Clone, Debug)]
pub(crate) struct Grants {
    /// The parent of all tokens. Cancelling it stops the server.
    pub(crate) all: CancellationToken,
    /// The token of the current policy.
    current: Arc<Mutex<CancellationToken>>,
}

impl Default for Grants {
    fn default() -> Self {
        let all = CancellationToken::new();
        Grants { current: Arc::new(Mutex::new(all.child_token())), all }
    }
}

impl Grants {
    /// Returns the token of a connection that is admitted now. Take it before you check the policy. Otherwise an old
    /// policy could admit a connection that gets the token of a new one.
    pub(crate) fn current(&self) -> CancellationToken {
        self.current.lock().clone()
    }

    /// Cancels the tokens issued so far. Put the new policy in force first.
    #[cfg(any(feature = "tls", test))]
    pub(crate) fn revoke(&self) {
        let new = self.all.child_token();
        let old = std::mem::replace(&mut *self.current.lock(), new);
        old.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revocation_ends_earlier_connections_and_stop_ends_all() {
        let grants = Grants::default();
        let before = grants.current();
        let too = grants.clone().current();
        grants.revoke();
        let after = grants.current();
        assert!(before.is_cancelled() && too.is_cancelled() && !after.is_cancelled());
        assert!(!grants.all.is_cancelled());
        grants.revoke();
        assert!(after.is_cancelled());
        let last = grants.current();
        grants.all.cancel();
        assert!(last.is_cancelled() && grants.current().is_cancelled());
        grants.revoke();
        assert!(grants.current().is_cancelled(), "the server has stopped");
    }
}
