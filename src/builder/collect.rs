//! Options of samples that async work makes.

use super::Builder;
use crate::collector::Samples;
use crate::exposition::encode;
use crate::scrape::{BoxError, Hook, ScrapeContext};

impl Builder {
    /// Serves samples that async work makes for each scrape, without an instrument; repeatable, with another name each time.
    ///
    /// `collect` gets empty [`Samples`] and returns them filled. It runs as a [hook](crate::guide#work-before-a-scrape) does, once per
    /// gather and until [`ScrapeContext::deadline`]. If it fails, panics or is late, its series are missing in that scrape, and the
    /// failure is logged. Bad samples are skipped, as those of [`from_fn`](crate::collector::from_fn). The name is that of a hook and of
    /// a registry, so [`bind`](Self::bind) refuses one that either has.
    ///
    /// Default: none.
    ///
    /// ```
    /// use prometheus_hyper::Server;
    /// # async fn queue_depths() -> std::io::Result<Vec<(&'static str, f64)>> { Ok(vec![("mail", 7.0)]) }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let guard = Server::builder()
    ///     .collect("queues", |_scrape, mut samples| async move {
    ///         for (queue, depth) in queue_depths().await? {
    ///             samples.gauge("queue_depth", "Jobs that wait.", &[("queue", queue)], depth);
    ///         }
    ///         Ok(samples)
    ///     })
    ///     .listen("127.0.0.1:0")
    ///     .start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn collect<F, Fut>(mut self, name: impl Into<String>, collect: F) -> Self
    where
        F: Fn(ScrapeContext, Samples) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Samples, BoxError>> + Send + 'static,
    {
        self.metrics.contents.hooks.push(Hook::collecting(name.into(), None, collect));
        self
    }

    /// Serves samples as [`collect`](Self::collect) does, and `<name>_up`: 1 in each scrape that has the samples, else 0.
    ///
    /// If the samples have a gauge of that name without labels, it is served instead.
    /// [`bind`](Self::bind) refuses a name that no metric can begin with.
    pub fn collect_with_up<F, Fut>(mut self, name: impl Into<String>, collect: F) -> Self
    where
        F: Fn(ScrapeContext, Samples) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Samples, BoxError>> + Send + 'static,
    {
        let name = name.into();
        let up = format!("{name}_up");
        if !encode::is_metric_name(&name) {
            let fault = format!("collect_with_up: {name:?} must match [a-zA-Z_:][a-zA-Z0-9_:]*");
            self.faults.add("collect_with_up", fault);
        }
        self.metrics.contents.hooks.push(Hook::collecting(name, Some(up), collect));
        self
    }
}
