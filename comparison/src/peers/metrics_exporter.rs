//! metrics-exporter-prometheus: the recorder of the `metrics` facade, and its listener as a task of the host
//! program. It supports neither a stop nor collectors.

use std::time::Instant;

use metrics::{counter, describe_counter, describe_histogram, histogram};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::launch::{Gathers, Launch, Running};
use crate::load::Load;
use crate::outcome::Outcome;
use crate::workload::families::{BUCKETS, Kind, LABELS};

pub(super) fn prepare(load: Load, _: &Gathers) -> Outcome<Launch> {
    Ok(Box::new(move |address| {
        PrometheusBuilder::new().set_buckets(&BUCKETS)?.with_http_listener(address).install()?;
        // Its recorder is made with its listener, so the workload follows.
        let start = Instant::now();
        record(load);
        Ok(Running { counts: false, filling: start.elapsed(), ..Running::new(()) })
    }))
}

fn record(load: Load) {
    for family in load.families() {
        match family.kind {
            Kind::Counter => describe_counter!(family.name.clone(), family.help),
            Kind::Histogram => describe_histogram!(family.name.clone(), family.help),
        }
        for metric in family.metrics() {
            let labels: Vec<(&str, String)> = LABELS.into_iter().zip(metric.labels.clone()).collect();
            match family.kind {
                Kind::Counter => counter!(family.name.clone(), &labels).absolute(metric.count()),
                Kind::Histogram => {
                    let histogram = histogram!(family.name.clone(), &labels);
                    metric.observations().for_each(|observation| histogram.record(observation));
                }
            }
        }
    }
}
