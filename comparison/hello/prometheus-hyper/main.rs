use prometheus_hyper::prometheus::register_int_counter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let guard = prometheus_hyper::start("0.0.0.0:9184")?;
    let hellos = register_int_counter!("hellos_total", "Hellos said")?;
    hellos.inc();
    std::thread::park();
    guard.shutdown_blocking();
    Ok(())
}
