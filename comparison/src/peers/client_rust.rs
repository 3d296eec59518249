//! prometheus-client in hyper, as in its example. Its registry writes its metrics itself, without a gather.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::launch::{Gathers, Launch, Running};
use crate::load::Load;
use crate::outcome::Outcome;
use crate::workload::families::{BUCKETS, Kind};

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Labels {
    method: String,
    path: String,
    status: String,
}

#[derive(Debug)]
struct Counting(Gathers);

impl Collector for Counting {
    fn encode(&self, _: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Its registry with the workload.
pub(super) fn registry(load: Load, gathers: &Gathers) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Counting(Arc::clone(gathers))));
    for family in load.families() {
        let help = family.help.trim_end_matches('.');
        let metrics = family.metrics().map(|metric| {
            let [method, path, status] = metric.labels.clone();
            (Labels { method, path, status }, metric)
        });
        match family.kind {
            Kind::Counter => {
                let counters = Family::<Labels, Counter>::default();
                for (labels, metric) in metrics {
                    counters.get_or_create(&labels).inc_by(metric.count());
                }
                // It adds the suffix itself.
                registry.register(family.name.trim_end_matches("_total"), help, counters);
            }
            Kind::Histogram => {
                let new: fn() -> Histogram = || Histogram::new(BUCKETS);
                let histograms = Family::<Labels, Histogram>::new_with_constructor(new);
                for (labels, metric) in metrics {
                    let histogram = histograms.get_or_create(&labels);
                    metric.observations().for_each(|observation| histogram.observe(observation));
                }
                registry.register(family.name.as_str(), help, histograms);
            }
        }
    }
    registry
}

pub(super) fn prepare(load: Load, gathers: &Gathers) -> Outcome<Launch> {
    let registry = Arc::new(registry(load, gathers));
    Ok(Box::new(move |address| {
        let server = tokio::spawn(async move {
            let listener = TcpListener::bind(address).await?;
            loop {
                let (stream, _) = listener.accept().await?;
                let registry = Arc::clone(&registry);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(request, Arc::clone(&registry)));
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
                });
            }
            #[allow(unreachable_code, reason = "the type of the block")]
            io::Result::Ok(())
        });
        Ok(Running::new(server))
    }))
}

async fn answer(_: Request<Incoming>, registry: Arc<Registry>) -> io::Result<Response<Full<Bytes>>> {
    let mut body = String::new();
    encode(&mut body, &registry).map_err(io::Error::other)?;
    let answer = Response::builder()
        .header(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(Full::new(Bytes::from(body)));
    answer.map_err(io::Error::other)
}
