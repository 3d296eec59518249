//! Without the feature `http2` nobody agrees upon it. This keeps its absence out of everything else.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Activity, Service};
use crate::stream::Stream;

/// Never called: it is not offered.
#[allow(clippy::unused_async, reason = "the same shape as with the feature")]
pub(super) async fn serve(_: Stream, _: Option<IpAddr>, _: Arc<Activity>, _: Service) {}
