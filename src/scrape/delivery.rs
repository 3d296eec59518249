//! Which expositions have reached a client, for a server that is to stop after the last one.

use tokio::sync::watch;

use super::coalescer::Epoch;

/// The latest epoch of which an exposition has been written to a client, whole.
#[derive(Clone, Debug)]
pub(crate) struct Deliveries {
    latest: watch::Sender<Option<Epoch>>,
}

/// Says that an exposition has been written. One that is dropped says nothing.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    epoch: Option<Epoch>,
    latest: watch::Sender<Option<Epoch>>,
}

impl Deliveries {
    pub(super) fn new() -> Self {
        Deliveries { latest: watch::Sender::new(None) }
    }

    /// That of an exposition of this epoch.
    pub(super) fn receipt(&self, epoch: Epoch) -> Receipt {
        Receipt { epoch: Some(epoch), latest: self.latest.clone() }
    }

    /// Completes when there has been one of this epoch or of a later one.
    pub(crate) async fn of(&self, epoch: Epoch) {
        // It fails when the sender is gone, which is here.
        let _ = self.latest.subscribe().wait_for(|latest| *latest >= Some(epoch)).await;
    }

    /// Whether there has been one of this epoch or of a later one.
    pub(crate) fn include(&self, epoch: Epoch) -> bool {
        *self.latest.borrow() >= Some(epoch)
    }
}

impl Receipt {
    pub(crate) fn delivered(self) {
        self.latest.send_if_modified(|latest| {
            let later = self.epoch > *latest;
            if later {
                *latest = self.epoch;
            }
            later
        });
    }
}
