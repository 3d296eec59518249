//! Records which expositions have reached a client. A server may have to stop only after the last one.

use tokio::sync::watch;

use super::coalescer::Epoch;
use super::unsent::Unsent;

/// The latest epoch of which a client has received a whole exposition.
#[derive(Clone, Debug)]
pub(crate) struct Deliveries {
    latest: watch::Sender<Option<Epoch>>,
}

/// Confirms that an exposition was written. Its drop confirms nothing.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    epoch: Epoch,
    latest: watch::Sender<Option<Epoch>>,
}

/// An exposition on its way to a client. It counts as unsent until it is dropped.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) unsent: Unsent,
    /// `None` if the response does not count as a scrape.
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

    /// Completes when an exposition of this epoch or a later one has been written.
    pub(crate) async fn of(&self, epoch: Epoch) {
        // Cannot fail, because `self` holds the sender.
        let _ = self.latest.subscribe().wait_for(|latest| *latest >= Some(epoch)).await;
    }

    /// Returns whether an exposition of this epoch or a later one has been written.
    pub(crate) fn include(&self, epoch: Epoch) -> bool {
        *self.latest.borrow() >= Some(epoch)
    }
}

impl Delivery {
    /// Records that the whole exposition was written.
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
