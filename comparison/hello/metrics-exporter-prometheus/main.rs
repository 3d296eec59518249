use std::net::Ipv4Addr;

use metrics::counter;
use metrics_exporter_prometheus::PrometheusBuilder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    PrometheusBuilder::new().with_http_listener((Ipv4Addr::UNSPECIFIED, 9184)).install()?;
    counter!("hellos_total").increment(1);
    std::thread::park();
    Ok(())
}
