//! The page as a service inside the program's own HTTP server.

use std::io;
use std::sync::Arc;

use super::Handler;
use crate::http::document::{Endpoints, Program, Render};
use crate::http::page::{Landing, Page};
use crate::http::path::{INVALID_PATH, path_is_valid};
use crate::util::io_error;

impl Handler {
    /// Returns the page that shows these metrics live, as a service to be mounted at a path of your choice.
    ///
    /// `metrics_path` is where a browser finds this handler: an absolute path, with the prefix of a proxy if there is one. The page
    /// scrapes it every two seconds while it is visible. The page is under the same access control as the metrics, and both share
    /// their threads.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the path breaks a rule of [`metrics_path`](crate::Builder::metrics_path), or if
    /// a link of the page would run a script.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use prometheus_hyper::{Handler, Page, Server};
    ///
    /// let metrics: Handler = Server::builder().into_handler()?;
    /// let page: Handler = metrics.page(Page::new("My service"), "/internal/metrics")?;
    /// // axum: Router::new().route_service("/internal/metrics", metrics).route_service("/internal", page)
    /// # Ok(())
    /// # }
    /// ```
    pub fn page(&self, page: Page, metrics_path: &str) -> io::Result<Handler> {
        let fault = if path_is_valid(metrics_path) {
            page.fault()
        } else {
            Some(format!("metrics_path: {metrics_path:?} {INVALID_PATH}"))
        };
        if let Some(fault) = fault {
            return Err(io_error::new(io::ErrorKind::InvalidInput, format!("page: {fault}")));
        }
        let metrics = metrics_path.to_owned();
        let endpoints = Endpoints { metrics, formats: Vec::new(), probes: Vec::new(), health: false };
        let document = Box::new(Landing(page)).document(Program { name: None, version: None }, endpoints);
        Ok(Handler { mounted: Arc::clone(&self.mounted), page: Some(Arc::new(document)) })
    }
}
