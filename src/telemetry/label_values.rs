//! The closed sets of label values of the server's own metrics. Nothing that a client sends becomes a label
//! (CVE-2022-21698).

use crate::util::texts::texts;

texts! {
    /// Cause of an error: the values of `prometheus_exporter_errors_total{cause}`.
    pub(crate) enum Cause: fn label {
        /// Accepting a connection failed, unless the client had closed it.
        Accept = "accept",
        /// A connection ended with an I/O or protocol error, or at a deadline during a request or a response.
        Connection = "connection",
        /// A connection was closed in favour of a new one.
        Evicted = "evicted",
        /// The server failed to serve a scrape or a probe: a panic outside collectors, no thread, no compression.
        Gather = "gather",
        /// A TLS handshake failed: too slow, plain HTTP, or a rejected client.
        Handshake = "handshake",
        /// A collector or a probe panicked, or the host program's subscriber in the accept loop.
        Panic = "panic",
        /// A family, metric or sample was skipped: nameless, duplicate, or not representable.
        Skipped = "skipped",
        /// A scrape or a login did not finish by its deadline.
        Timeout = "timeout",
        /// Two sources use one name with two types.
        TypeConflict = "type_conflict",
    }
}

texts! {
    /// Reason why a connection or a request was rejected: the values of `prometheus_exporter_denied_total{reason}`.
    pub(crate) enum RejectReason: fn label {
        /// The address is not on the allow-list.
        Address = "address",
        /// The address has too many recent failed logins.
        Failures = "failures",
        /// The Host is not on the list.
        Host = "host",
        /// The queue of logins is full.
        Logins = "logins",
        /// Too many scrapes are in flight.
        MaxRequests = "max_requests",
        /// No credentials, or unreadable ones.
        NoCredentials = "no_credentials",
        /// Parts of the metrics take long, and a scrape of the whole waits.
        Parts = "parts",
        /// The rate limit is exceeded.
        Rate = "rate",
        /// The budget of unsent bytes is exceeded.
        Unsent = "unsent",
        /// Wrong credentials.
        WrongCredentials = "wrong_credentials",
    }
}

texts! {
    /// Outcome of a probe: the values of `prometheus_exporter_probes_total{outcome}`.
    pub(crate) enum ProbeOutcome: fn label {
        /// The scraper's parameters are invalid.
        BadRequest = "bad_request",
        /// The scraper closed its connection.
        Cancelled = "cancelled",
        /// The target could not be probed.
        Failure = "failure",
        Panic = "panic",
        /// Too many probes were running.
        Rejected = "rejected",
        Success = "success",
        /// The probe did not finish by its deadline.
        Timeout = "timeout",
    }
}
