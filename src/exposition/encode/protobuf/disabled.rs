//! Without the feature `protobuf` there are no messages. This keeps its absence out of everything else.

use super::{
    Format, Head, Series,
    piece::{Output, Sink},
};

/// Never there.
pub(super) enum Messages {}

impl Messages {
    pub(super) fn of(_: Format) -> Option<Self> {
        None
    }

    pub(super) fn metric_size(&self, _: &Series<'_>) -> usize {
        match *self {}
    }

    pub(super) fn head(&mut self, _: &mut Output<'_, impl Sink>, _: &Head<'_>, _: usize) {
        match *self {}
    }

    pub(super) fn metric(&mut self, _: &mut Output<'_, impl Sink>, _: &Series<'_>) {
        match *self {}
    }
}
