//! The router as the responder of connections.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use http::Response;
use http::request::Parts;

use crate::http::body::Body;
use crate::http::router::Router;
use crate::net::connection::Respond;

impl Respond for Arc<Router> {
    fn respond(&self, head: &Parts, peer: Option<IpAddr>) -> impl Future<Output = Response<Body>> + Send {
        Router::respond(self, head, peer)
    }

    fn ends_with_its_client(&self, head: &Parts) -> bool {
        Router::ends_with_its_client(self, head)
    }
}
