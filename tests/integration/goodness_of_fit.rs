//! The presets of the research generator against the clusters that they are named after.

use windtunnel::workload::Workload;
use windtunnel::workload::generate::{Preset, goodness_of_fit};

#[test]
fn presets_print() {
    for (preset, name) in Preset::ALL {
        let (rows, w) = goodness_of_fit(preset, 1);
        println!("{name} jobs {}", w.jobs.len());
        for r in rows {
            println!(
                "  {:40} {:>12} {:>12.4} {:+.1} %",
                r.target.metric,
                r.target.value,
                r.generated,
                100.0 * r.relative_difference()
            );
        }
        let s = windtunnel::workload::stats::stats(&w, None);
        let _ = &s as &dyn std::any::Any;
        println!("  {}", serde_json::to_string(&s).unwrap());
    }
}
fn _unused(_: &Workload) {}
