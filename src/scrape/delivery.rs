//! Which expositions have reached a client. A server may be asked to stop after the last one.

use tokio::sync::watch;

use super::coalescer::Epoch;
use super::unsent::Unsent;

/// The latest epoch of which an exposition has been written to a client, whole.
#[derive(Clone, Debug)]
pub(crate) struct Deliveries {
    latest: watch::Sender<Option<Epoch>>,
}

/// Says that an exposition has been written. One that is dropped says nothing.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    epoch: Epoch,
    latest: watch::Sender<Option<Epoch>>,
}

/// An exposition on its way to a client. It counts as unsent until this is dropped.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) unsent: Unsent,
    /// None where the response does not count as a scrape.
    pub(crate) receipt: Option<Receipt>,
}

impl Deliveries {
    pub(crate) fn new() -> Self {
        Deliveries { latest: watch::Sender::new(None) }
    }

    /// Returns the receipt of an exposition of this epoch.
    pub(crate) fn receipt(&self, epoch: Epoch) -> Receipt {
        Receipt { epoch, latest: self.latest.clone() }
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

impl Delivery {
    /// The whole exposition is written.
    pub(crate) fn complete(self) {
        let Delivery { unsent, receipt } = self;
        drop(unsent);
        let Some(Receipt { epoch, latest }) = receipt else { return };
        latest.send_if_modified(|latest| {
            let later = Some(epoch) > *latest;
            if later {
                *latest = Some(epoch);
            }
            later
        });
    }
}
