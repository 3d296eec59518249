//! Limits and timeouts.

use std::time::Duration;

use super::Builder;

impl Builder {
    /// Sets the timeout of scrapes without an `X-Prometheus-Scrape-Timeout-Seconds` header, which Prometheus sends.
    ///
    /// A scrape that takes longer gets a 503. [Hooks](Self::before_scrape) have at most half of this time, from which the
    /// [margin](Self::scrape_timeout_margin) is subtracted first, whatever clients send. If a scrape times out, a warning names a
    /// registry that has been gathered for nine tenths of this time less the margin. With `None`, only
    /// [`max_scrape_timeout`](Self::max_scrape_timeout) applies.
    ///
    /// Default: [`DEFAULT_SCRAPE_TIMEOUT`](Self::DEFAULT_SCRAPE_TIMEOUT), 10 seconds.
    pub fn scrape_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        let timeout = self.faults.check_limit("scrape_timeout", timeout);
        self.metrics.timeouts.default = timeout.unwrap_or(Duration::MAX);
        self
    }

    /// Sets the longest timeout of a scrape, whatever the client sends; `None` is no limit.
    ///
    /// Default: [`DEFAULT_MAX_SCRAPE_TIMEOUT`](Self::DEFAULT_MAX_SCRAPE_TIMEOUT), 2 minutes.
    pub fn max_scrape_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        let timeout = self.faults.check_limit("max_scrape_timeout", timeout);
        self.metrics.timeouts.max = timeout.unwrap_or(Duration::MAX);
        self
    }

    /// Sets what is subtracted from the timeout that the client sends, because the response takes time to arrive.
    ///
    /// At most a fifth of that timeout is subtracted; with `None`, nothing.
    ///
    /// Default: [`DEFAULT_SCRAPE_TIMEOUT_MARGIN`](Self::DEFAULT_SCRAPE_TIMEOUT_MARGIN), half a second.
    pub fn scrape_timeout_margin(mut self, margin: impl Into<Option<Duration>>) -> Self {
        let margin = self.faults.check_limit("scrape_timeout_margin", margin);
        self.metrics.timeouts.margin = margin.unwrap_or_default();
        self
    }

    /// Sets how many scrapes may be answered at once; `None` is no limit.
    ///
    /// Beyond the limit the response is a 503 with `Retry-After`, counted in
    /// `prometheus_exporter_denied_total{reason="max_requests"}`. A scrape counts after its credentials are accepted and
    /// until its response starts. This limits GET and HEAD of the metrics, here and in [`into_handler`](Self::into_handler).
    ///
    /// Scrapes share a gather, so many of them cost little more than one. The limit is for clients that prefer a 503 to a wait.
    ///
    /// Default: `None`.
    pub fn max_requests(mut self, requests: impl Into<Option<usize>>) -> Self {
        let requests = self.faults.check_limit("max_requests", requests);
        self.metrics.max_requests = Some(requests.unwrap_or_default());
        self
    }

    /// Sets how many probes may run at once, at all paths; `None` is no limit.
    ///
    /// A probe runs until its registry has been written and its collectors have returned, also if its client has gone. Beyond the limit
    /// the response is a 503.
    ///
    /// Default: [`DEFAULT_MAX_PROBES`](Self::DEFAULT_MAX_PROBES), 40.
    pub fn max_probes(mut self, probes: impl Into<Option<usize>>) -> Self {
        self.metrics.max_probes = self.faults.check_limit("max_probes", probes);
        self.faults.of_server("max_probes");
        self
    }

    /// Sets how many bytes of expositions are kept in memory for clients that have not taken them yet; `None` is no limit.
    ///
    /// The budget is one for all connections, and an exposition that clients share counts once. Over it the server evicts slow clients,
    /// and answers partial scrapes with a 503, counted in `prometheus_exporter_denied_total{reason="unsent"}`. See
    /// [slow clients](crate::guide#slow-clients).
    ///
    /// Default: 64 MiB, or four times the largest exposition of the last gather if that is more.
    pub fn max_unsent(mut self, bytes: impl Into<Option<usize>>) -> Self {
        let bytes = self.faults.check_limit("max_unsent", bytes);
        self.metrics.contents.max_unsent = Some(bytes.unwrap_or(usize::MAX));
        self.faults.of_server("max_unsent");
        self
    }

    /// Sets how many connections may be open at once; `None` is no limit.
    ///
    /// At the limit the server evicts a connection for each new one: first one that is idle or slow, never one between a complete
    /// request and its response. Responses carry `Connection: close` meanwhile. See
    /// [connections at the limit](crate::guide#connections-at-the-limit).
    ///
    /// Default: [`DEFAULT_MAX_CONNECTIONS`](Self::DEFAULT_MAX_CONNECTIONS), 128, or a quarter of the process's descriptor limit if that
    /// is less.
    pub fn max_connections(mut self, connections: impl Into<Option<usize>>) -> Self {
        let connections = self.faults.check_limit("max_connections", connections);
        self.faults.of_server("max_connections");
        self.server.max_connections = Some(connections.unwrap_or(usize::MAX));
        self
    }

    /// Sets how long a request's head may take; `None` is no limit.
    ///
    /// The time starts at its first byte, on a new connection when it is accepted.
    ///
    /// Default: [`DEFAULT_HEAD_TIMEOUT`](Self::DEFAULT_HEAD_TIMEOUT), 10 seconds.
    pub fn head_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.server.deadlines.head = self.timeout("head_timeout", timeout.into());
        self
    }

    /// Sets how long a connection may be idle between a response and the next request; `None` is no limit.
    ///
    /// Default: [`DEFAULT_IDLE_TIMEOUT`](Self::DEFAULT_IDLE_TIMEOUT), 6 minutes.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.server.deadlines.idle = self.timeout("idle_timeout", timeout.into());
        self
    }

    /// Sets how long a client may take nothing of its response; `None` is no limit.
    ///
    /// Each byte that it takes starts the time anew. Kernel buffers hide small steps: by default a client must take 2 KiB a second. See
    /// [slow clients](crate::guide#slow-clients). At the connection limit slow clients have less time.
    ///
    /// Default: [`DEFAULT_WRITE_TIMEOUT`](Self::DEFAULT_WRITE_TIMEOUT), 30 seconds.
    pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.server.deadlines.write = self.timeout("write_timeout", timeout.into());
        self
    }

    /// Sets how long a stop waits for responses in flight before it closes their connections; `None` is no limit.
    ///
    /// Default: [`DEFAULT_DRAIN_TIMEOUT`](Self::DEFAULT_DRAIN_TIMEOUT), 5 seconds.
    pub fn drain_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.server.drain_timeout = self.timeout("drain_timeout", timeout.into());
        self
    }

    /// Checks a timeout of connections.
    fn timeout(&mut self, option: &'static str, timeout: Option<Duration>) -> Duration {
        self.faults.of_server(option);
        self.faults.check_limit(option, timeout).unwrap_or(Duration::MAX)
    }
}
