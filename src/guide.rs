//! Explains what the options do in detail. The items' own docs are short and link here.
//!
//! * A *gather* collects the samples of the registries once.
//! * A *hook* is async work before a gather.
//! * A *family* consists of all series of one metric name.
//! * An *exposition* is what a scrape returns, in a format.
//!
//! # Several registries
//!
//! [`Builder::registry`] and [`registry_named`](Builder::registry_named) may be called several times.
//!
//! * Each registry is gathered separately. If a collector of one panics, that registry is skipped and the others are served.
//!   `prometheus_exporter_registry_up{registry}` shows it.
//! * Families of the same name become one family.
//! * A series that occurs twice is served once, from the earlier registry.
//! * A name under two types is served with the type that it has in the earlier registry. The server counts it in
//!   `prometheus_exporter_errors_total{cause="type_conflict"}` and logs it once a minute.
//! * `/metrics?registry[]=db` gathers only the registries named. The first registry is named `default`, the others `1`, `2`, …
//!   unless you name them.
//!
//! The default collectors are in registries of their own, and the server's own metrics in none. Nothing is ever registered into
//! yours.
//!
//! # Work before a scrape
//!
//! Collectors of `prometheus` are synchronous. Work that needs `.await` runs in a hook. [`Builder::collect`] serves the samples that
//! the hook returns, and [`Builder::collect_with_up`] also serves `<name>_up`. [`Builder::before_scrape`] serves nothing of its own.
//!
//! * All hooks run at the same time, once per gather, however many scrapes share that gather.
//! * Hooks run on the runtime in which you call [`bind`](Builder::bind), because their sockets and timers belong there.
//!   Without a runtime they run on the server's own, which a hook must not block.
//! * The server cancels a hook after half of the time that the client which waits longest has left.
//!   [`ScrapeContext::deadline`] is the latest such time: half of the default [`scrape_timeout`](Builder::scrape_timeout), from which
//!   the [margin](Builder::scrape_timeout_margin) is subtracted first. Set `scrape_timeout` to that of your Prometheus.
//! * A hook that fails, panics or is late is cancelled, and a warning is logged. The scrape goes on: without the samples of
//!   `collect`, with the last values of what `before_scrape` sets.
//! * A late hook is logged at debug level if all clients waited for less than the default timeout.
//! * A client with a short timeout cancels no hook and no gather that others wait for.
//! * `prometheus_exporter_hook_success{hook}` and `prometheus_exporter_hook_duration_seconds{hook}` show how each hook fares.
//!
//! Await everything that waits in the hook itself. What you spawn has no deadline and is not cancelled.
//!
//! The samples of `collect` are served as a registry of that name, which `registry[]` selects. If only that registry is selected,
//! and the hook has failed, the response is a 500.
//!
//! # Skipped samples
//!
//! An invalid sample of [`collector::from_fn`] or [`Builder::collect`] is skipped, and the rest is served. These are invalid:
//!
//! * a metric name that does not match `[a-zA-Z_:][a-zA-Z0-9_:]*`;
//! * a label name that does not match `[a-zA-Z_][a-zA-Z0-9_]*`, begins with `__`, or is used twice in a sample;
//! * the label `le` on a histogram, and the label `quantile` on a summary;
//! * a counter that is negative or NaN;
//! * a histogram or a summary that violates the rules of [`Samples::histogram`](collector::Samples::histogram) or
//!   [`Samples::summary`](collector::Samples::summary);
//! * a type that differs from that of the first valid sample with this name in this gather;
//! * a series that is repeated in this gather, with its labels in any order;
//! * a timestamp that cannot be served, see [`Samples::timestamp`](collector::Samples::timestamp).
//!
//! At each gather the server adds their number to `prometheus_exporter_errors_total{cause="skipped"}`. The first
//! invalid sample of a collector is logged at level warn, with its name and the reason. Later ones are not logged. If
//! your program calls [`Registry::gather`](prometheus::Registry::gather), they are logged but not counted.
//!
//! # Expositions of other libraries
//!
//! [`collector::exposition`] reads the text formats 0.0.4 and 1.0.0, and OpenMetrics 1.0. A text is OpenMetrics if it ends in
//! `# EOF`, or if one of its lines is valid only there:
//!
//! * UNIT,
//! * a type such as `info`,
//! * an exemplar,
//! * a sample with the suffix `_total` that the name of its counter lacks.
//!
//! If your text may have none of these, call [`Exposition::openmetrics`](collector::Exposition::openmetrics). A function must
//! always write the same format.
//!
//! | in OpenMetrics | served |
//! | --- | --- |
//! | counter `a` with the sample `a_total` | counter `a_total` |
//! | timestamps in seconds | in milliseconds, rounded down |
//! | info `a` with the sample `a_info` | gauge `a_info` |
//! | state set | gauge |
//! | gauge histogram `a` | gauges `a_bucket`, `a_gsum` and `a_gcount` |
//! | unknown | untyped |
//! | exemplars, units, samples with `_created` | not |
//!
//! In both formats the lines of a histogram or a summary become one metric, in any order. A family may have several
//! parts. A summary of quantiles alone becomes a gauge. A missing sum becomes NaN, which OpenMetrics does not allow: its clients get
//! the histogram without sum and count.
//!
//! If a series has several points, one is served. For a histogram or a summary it is the first point. For other types it is
//! the point with the earliest timestamp. The text format serves none from before 1970, because Prometheus would reject the
//! whole scrape.
//!
//! A line that does not follow the grammar is skipped, and the rest is read. These are skipped, too:
//!
//! * a histogram or a summary without a count,
//! * a sample with a timestamp of zero or with a reserved label name,
//! * a second HELP or TYPE that differs from the first,
//! * a TYPE after a sample.
//!
//! At each gather the server adds their number to `prometheus_exporter_errors_total{cause="skipped"}`. The first
//! skipped line of a collector is logged at level warn, with its number and the reason.
//!
//! # Time of a scrape
//!
//! A scrape has the time that its client sends in `X-Prometheus-Scrape-Timeout-Seconds`, less a
//! [margin](Builder::scrape_timeout_margin), or else the default [`scrape_timeout`](Builder::scrape_timeout). It never has more
//! than [`max_scrape_timeout`](Builder::max_scrape_timeout). At its deadline the response is a 503.
//!
//! A scrape joins the gather that is running if encoding has not started. Otherwise it waits for the next one. A gather itself
//! has no deadline: a scrape that gives up cancels nobody's work, and no second gather starts while a collector hangs.
//!
//! A collector runs on a thread of the server. `Handle::current()` is your program's runtime, on which hooks run. Without one,
//! and in the registry of a probe, there is none.
//!
//! A collector that hangs keeps one of the server's two threads. The other thread answers everything else. The first time that a
//! registry hangs, the other thread may need two seconds to take over, and a 503 is late by as much.
//!
//! # Probes
//!
//! [`Builder::probe`] implements the [multi-target pattern](https://prometheus.io/docs/guides/multi-target-exporter/): a scrape of
//! `/probe?target=db1:5432` asks that target. The probe returns a registry that it has made for this request.
//!
//! | the probe | the response |
//! | --- | --- |
//! | returns `Ok(registry)` | 200, with `probe_success 1` |
//! | fails, panics, or is not done at [`ProbeRequest::deadline`] | 200, with `probe_success 0` |
//! | returns [`ProbeError::bad_request`] | 400 with that sentence |
//! | is beyond [`max_probes`](Builder::max_probes) | 503 |
//!
//! * The response has `probe_success` and `probe_duration_seconds`, unless the registry has them.
//! * The server counts probes in `prometheus_exporter_probes_total{path,outcome}` and measures them in
//!   `prometheus_exporter_probe_duration_seconds{path}`.
//! * A probe is a task on the runtime of the hooks. It is cancelled at its deadline, and when its client closes the connection.
//!   If the client has pipelined another request, the server does not see the close, and the deadline ends the probe.
//! * The registry is gathered on a thread of the server, where a collector may block until the deadline.
//! * The server does not clean up. Close sessions on the target, and abort tasks that the probe has spawned, in `Drop`.
//! * Two scrapes of a target are two probes. HEAD probes, too.
//! * `name[]` and `format` work as for the metrics, except that an unknown `format` is ignored. A malformed query is a 400.
//! * With [`Builder::probe_debug`], `debug=true` in the query answers with the log of the probe, its error and its outcome, as text
//!   before the metrics. [`ProbeRequest::log`] adds to that log.
//!
//! A client can make your program connect to any target that it names. Restrict who may ask:
//! [`allow_network`](Builder::allow_network), or credentials.
//!
//! # Connections at the limit
//!
//! [`max_connections`](Builder::max_connections) connections may be open. At the limit the server evicts one for each new connection,
//! the first of these that it finds:
//!
//! 1. a connection that has been answered and is being closed
//! 2. the one that has waited longest without a complete request; a new connection is safe for 100 ms
//! 3. the slowest client, if it is 2 s behind a rate of 64 KiB/s
//! 4. the longest TLS handshake, 1 s after its ClientHello
//! 5. the client to which the server has been writing longest, after [`scrape_timeout`](Builder::scrape_timeout)
//!
//! The server never evicts a connection between a complete request and the first byte of the response. If it can evict nothing,
//! new connections wait in the backlog.
//!
//! The times of 2, 3 and 4 get shorter while new connections queue. With the default limit they never get below a seventeenth. So
//! a thousand clients that read nothing cannot keep a scraper out. A scraper over a slow link may be evicted then.
//!
//! While new connections find the limit reached, responses carry `Connection: close`. Otherwise a client could keep its connection by
//! asking again and again. A scraper connects again.
//!
//! # Slow clients
//!
//! [`write_timeout`](Builder::write_timeout) is the time in which a client must take something of its response. The server sees
//! progress on its side of the kernel's buffers, which empty in steps of about 64 KiB. Over Unix sockets, and on systems other than
//! Linux, the steps may be larger. So a client that takes less than 64 KiB within the timeout looks like one that takes nothing.
//! The exception is a client for which the buffers hold the whole rest. With the default of 30 seconds that is 2 KiB a second.
//!
//! Responses that clients have not taken yet have a budget over all connections: [`max_unsent`](Builder::max_unsent). Over it,
//! the server evicts the client that has been slow for longest. A scrape of a part (`name[]`, `registry[]`) waits up to 2 s for
//! that, then gets a 503. A probe gets the 503 at once. A whole exposition is always answered.
//!
//! # Files that change
//!
//! Certificates, keys, client CAs and the web-config file are read again when they change. The directory of a relative path is
//! the one in which you set the option. The server looks once a second; a
//! mounted handler does so from its first request on.
//!
//! * A new version counts once two looks in a row have seen the same bytes, so a file that is being written does not count.
//!   The first version counts at once.
//! * If a new version cannot be used, the last good one stays in force. One warning is logged, and a gauge is 0:
//!   `prometheus_exporter_tls_certificate_reload_success` or `prometheus_exporter_web_config_reload_success`.
//! * `prometheus_exporter_tls_certificate_expiry_timestamp_seconds` shows when the certificate expires.
//! * When the client CA, `client_auth_type` or the allowed names change, or a user is gone or has another password, older
//!   connections end. Idle connections close at once. A connection with a request in flight closes after the response, which
//!   carries `Connection: close`. Prometheus connects again.
//!
//! # The web-config file
//!
//! `Builder::web_config` (feature `web-config`) reads the
//! [web-config file](https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md) of Prometheus and its
//! exporters. All keys of it are known.
//!
//! * It replaces `tls_files`, `bearer_token`, `basic_auth`, `rate_limit` and the like. [`bind`](Builder::bind) refuses both together.
//! * It is strict: an unknown key or an invalid value is an error that names file, line and key. A setting without effect is a
//!   warning.
//! * `http2` is accepted and has no effect, because the server speaks HTTP/1.1 only.
//! * A `Content-Security-Policy` replaces that of the page at `/`, which needs its inline script and style.
//! * The server reads the first four intermediate certificates that a client sends, and ignores others.
//! * A hash with a cost above 16 causes a warning, because upstream accepts it. Its user cannot log in.
//!
//! A new version cannot be used if it removes a protection or turns TLS on. The server cannot tell an intended removal from a file
//! that was cut or emptied by mistake. So these changes need a restart, and everything else follows the file:
//!
//! | protection | needs a restart | follows the file |
//! | --- | --- | --- |
//! | `tls_server_config` | TLS on or off | certificates, versions, cipher suites |
//! | `client_auth_type` | certificates no longer demanded, or no longer verified | another CA, a stricter type |
//! | `client_allowed_sans` | no list where there was one | another list, also a longer one |
//! | `basic_auth_users` | no user where there was one, or only users who cannot log in | other users, fewer users, other passwords |
//! | `rate_limit` | no limit where there was one | another limit |
//!
//! # Unix sockets
//!
//! [`listen_unix`](Builder::listen_unix) makes the socket's file in [`bind`](Builder::bind), with the mode of
//! [`unix_socket_mode`](Builder::unix_socket_mode), and removes it at the stop. Wait for the stop before `main` ends.
//!
//! * A socket that is there is replaced if nobody answers on it, because a process that was killed leaves its own behind. If
//!   somebody answers, `bind` fails with [`AddrInUse`](std::io::ErrorKind::AddrInUse).
//! * Any other file stays, and `bind` fails with [`AlreadyExists`](std::io::ErrorKind::AlreadyExists).
//! * Use a directory of your own, as `RuntimeDirectory=` of systemd makes it. Any program that can write to the directory can replace the socket.
//! * If two servers replace the same socket at the same moment, both may succeed. The last one keeps the path.
//!
//! Prometheus scrapes Unix sockets from 3.15 on: targets that begin with `unix:`.
//! `curl --unix-socket PATH http://localhost/metrics` reads them, too.
//!
//! # Sockets of systemd
//!
//! `Builder::listen_systemd` (feature `systemd`) listens on the sockets that systemd has opened for the process (`ListenStream=` in
//! [systemd.socket(5)](https://www.freedesktop.org/software/systemd/man/latest/systemd.socket.html)). With `Type=notify` it also
//! sends `READY=1` when the server serves, and `STOPPING=1` when it stops.
//!
//! * Both notices are about the whole service, and after `STOPPING=1` systemd expects the process to end. So this is for
//!   exporters, whose service is the metrics server. A program that notifies systemd itself must not listen this way.
//! * A notice that cannot be delivered at once is lost, and a warning is logged.
//! * The server takes all sockets, once in a process. Their files belong to systemd.
//! * `bind` fails with [`NotFound`](std::io::ErrorKind::NotFound) if `LISTEN_PID` or `LISTEN_FDS` is missing or wrong.
//! * It fails with [`InvalidInput`](std::io::ErrorKind::InvalidInput), and the name in `LISTEN_FDNAMES`, if a socket is of another
//!   kind or does not listen (`Accept=yes`). On systems other than Linux it fails with
//!   [`Unsupported`](std::io::ErrorKind::Unsupported).
//!
//! # The command line
//!
//! `WebArgs` (feature `cli`) has the `--web.*` flags of Prometheus' exporters: those of exporter-toolkit
//! ([`flag.go`](https://github.com/prometheus/exporter-toolkit/blob/master/web/kingpinflag/flag.go)) and of node_exporter
//! ([`node_exporter.go`](https://github.com/prometheus/node_exporter/blob/master/node_exporter.go)).
//!
//! An address is one of:
//!
//! * `:9184`: all interfaces. The server binds `[::]:9184`, which takes IPv4, too, where the system is set up so, as Linux is. Where
//!   there is no IPv6, it binds `0.0.0.0:9184`.
//! * `127.0.0.1:9184`, `[::1]:9184`, `[fe80::1%eth0]:9184`.
//! * `localhost:9184`: clap checks the syntax, and [`bind`](Builder::bind) resolves the name.
//! * `/run/app/metrics.sock`: whatever has a slash is the path of a Unix socket. It must have no comma. Upstream has no such form.
//!
//! `vsock://` is not supported. The switches' variables take clap's values: `true`, `yes`, `on`, `1` and their opposites.
//!
//! A value that clap can check is clap's error, which names the flag. What only `bind` finds begins with the flag, too:
//! `--web.listen-address: cannot listen on 127.0.0.1:9184: …`.
//!
//! Flags override what was set on the builder before. Options that you set after `web_args` override the flags, except that
//! [`listen`](Builder::listen) adds a listener.
//!
//! * Addresses replace all listeners of the builder. `--web.systemd-socket` does, too, and overrides addresses, as upstream.
//! * Without either flag the builder's listeners stay. If there are none, `bind` fails.
//! * Without `--web.max-requests` and [`max_requests`](Builder::max_requests) the limit is 40, as in node_exporter.
//! * An empty `--web.config.file` changes nothing. A file that the builder has stays in force.
//! * `--web.config.file` together with `basic_auth` and the like is an error of `bind`.
//!
//! # A runtime that is stuck
//!
//! With the default collectors the server watches the tokio runtime in which you call `bind`, or else the start. It serves that runtime's
//! `RuntimeCollector`, and two more families:
//!
//! | name | type | |
//! | --- | --- | --- |
//! | `tokio_scheduling_delay_seconds` | gauge | longest time that a ready task has waited to run since the last scrape |
//! | `tokio_scheduling_delay_distribution_seconds` | histogram | the same of each wake-up, from 100 µs to 10 s |
//!
//! A thread of the server wakes a task on the runtime once a second, and the task notes when it runs. The server skips this while a
//! gather keeps that thread busy. While the runtime is blocked, or a current-thread runtime is not being driven, the gauge grows
//! from scrape to scrape. On a multi-thread runtime any worker can run the task, so the gauge shows that all of them are blocked.
//! With several scrapers each sees the maximum since any of them asked. The two families disappear when the runtime or the server ends.
//! The task counts among `tokio_alive_tasks`.
//!
//! # The server's own metrics
//!
//! These metrics are in no registry. [`self_metrics(false)`](Builder::self_metrics) disables them.
//!
//! | `prometheus_exporter_…` | type | |
//! | --- | --- | --- |
//! | `requests_total` | counter | requests of the metrics |
//! | `request_duration_seconds` | histogram | durations of requests of all paths |
//! | `requests_in_flight` | gauge | requests of all paths whose response is not ready yet |
//! | `response_size_bytes` | gauge | exact size of the last exposition |
//! | `connections`, `ready` | gauge | open connections; 1 if the program is ready, else 0; not in a mounted handler |
//! | `series{registry}` | gauge | series of a registry in its last gather |
//! | `registry_up{registry}` | gauge | 1 if the last gather of a registry succeeded, else 0; only with several registries |
//! | `hook_success{hook}`, `hook_duration_seconds{hook}` | gauge | result and duration of the last run of a hook |
//! | `probes_total{path,outcome}` | counter | probes that were requested |
//! | `probe_duration_seconds{path}` | histogram | durations of the probes that have started |
//! | `errors_total{cause}` | counter | errors |
//! | `denied_total{reason}` | counter | connections and requests that access control or a limit rejected |
//! | `tls_certificate_reload_success`, `web_config_reload_success` | gauge | 1 if the last reload succeeded, else 0 |
//! | `tls_certificate_expiry_timestamp_seconds` | gauge | when the certificate in use expires |
//!
//! The labels have these values:
//!
//! | `cause` | |
//! | --- | --- |
//! | `accept` | accepting a connection failed |
//! | `connection` | a connection ended with an error, or at a deadline during a request or a response |
//! | `evicted` | a connection was closed to admit a new one |
//! | `gather` | the server failed to serve a scrape or a probe: a panic outside collectors, no thread, no compression |
//! | `handshake` | a TLS handshake failed: too slow, plain HTTP, or a rejected client |
//! | `panic` | a collector, a probe, or a subscriber of `tracing` panicked |
//! | `skipped` | a family, a sample or a failed collector was skipped |
//! | `timeout` | a scrape or a login did not finish by its deadline |
//! | `type_conflict` | two registries have one name with two types |
//!
//! | `reason` | |
//! | --- | --- |
//! | `address` | the address is not allowed |
//! | `failures` | the address has too many recent failed logins |
//! | `host` | the `Host` is not allowed |
//! | `logins` | the queue of logins is full |
//! | `max_requests` | too many scrapes are in flight |
//! | `no_credentials`, `wrong_credentials` | the credentials are missing or unreadable, or wrong |
//! | `parts` | scrapes with `name[]` or `registry[]` take long together, and a scrape of the whole waits |
//! | `rate` | the rate limit is exceeded |
//! | `unsent` | the budget of unsent bytes is exceeded |
//!
//! | `outcome` | |
//! | --- | --- |
//! | `success`, `failure`, `panic` | the probe succeeded, failed or panicked |
//! | `bad_request` | the parameters are invalid |
//! | `cancelled` | the client closed its connection |
//! | `rejected` | too many probes were running |
//! | `timeout` | the probe did not finish by its deadline |
//!
//! # The stop
//!
//! A server stops when its [`Guard`] is dropped, its token is cancelled, or the shutdown future of [`run`](crate::run()) completes.
//! It closes its listeners, closes idle connections, and finishes responses in flight within
//! [`drain_timeout`](Builder::drain_timeout). Then it cuts what is left, and its threads end. It does not wait for a collector that
//! hangs. The first time that a collector hangs, the stop may begin up to two seconds later. A client that keeps its connection
//! open after its last response delays the stop by a second.
//!
//! # The last scrape
//!
//! [`Guard::shutdown_after_scrape`] serves until the final values of a job have been scraped.
//!
//! * A scrape counts if it is a GET of the metrics, its gather begins after the call, and it gets a 200. Its whole body must have
//!   been written to the socket.
//! * The first such scrape ends the wait. The server does not wait for a second Prometheus.
//! * A browser at the metrics' path, and a scrape of a part (`name[]`, `registry[]`), count. The page at `/` does not: its requests
//!   carry the header `X-Prometheus-Hyper-Page`.
//! * A scrape that is in flight at the limit may finish within `drain_timeout`, and then counts.
//! * Choose a limit a little above the scrape interval. [The token](Guard::cancellation_token) stops the server earlier, as does
//!   dropping the future.

#[cfg(doc)]
use crate::{Builder, Guard, ProbeError, ProbeRequest, ScrapeContext, collector};
