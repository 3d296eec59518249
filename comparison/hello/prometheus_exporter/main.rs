use prometheus_exporter::prometheus::register_int_counter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _exporter = prometheus_exporter::start("0.0.0.0:9184".parse()?)?;
    let hellos = register_int_counter!("hellos_total", "Hellos said")?;
    hellos.inc();
    std::thread::park();
    Ok(())
}
