//! `usage.csv`, and bills that say the same.

use std::collections::BTreeMap;

use super::terminal::Desk;

type Row = BTreeMap<String, String>;

/// Four jobs of a whole VM of 8 GPUs at once, on a pool that keeps one VM and orders up to four.
fn desk(rented: &str) -> Desk {
    let desk = Desk::new();
    let jobs: String = (0..4).map(|job| format!("{job},0,1000,8\n")).collect();
    desk.put("t.csv", format!("job_id,submit_s,run_s,gpus\n{jobs}"));
    desk.put(
        "s.toml",
        format!(
            "[workload]\ntrace = 't.csv'\n[policy.easy]\n\
             [design.d.pool.p]\nnode = 'dgx-h100'\ncount = 4\n\
             [design.d.pool.p.tenancy.vm]\ncontention = 'off'\n\
             [design.d.pool.p.tenancy.vm.overhead]\ncompute = 1.0\ngpu-memory = 1.0\nhost = 1.0\n\
             intra-node = 1.0\ninter-node = 1.0\nstorage = 1.0\n\
             [design.d.pool.p.tenancy.vm.elastic]\nmin = 1\nin-after-s = 300\n\
             boot = {{ low-s = 100, typical-s = 100, high-s = 100 }}\n\
             [design.d.pool.p.cost.rented]\n{rented}"
        ),
    );
    desk
}

fn rows(desk: &Desk) -> Vec<Row> {
    let bytes = desk.read("out/usage.csv");
    csv::Reader::from_reader(bytes.as_slice()).deserialize().map(Result::unwrap).collect()
}

fn rent(rented: &str) -> (f64, Vec<Row>) {
    let desk = desk(rented);
    let answer = desk.run(&["run", "s.toml", "--out", "out", "--json", "--quiet"]).ok().json();
    let total = answer["designs"]["d"]["cost"]["total"].as_f64().unwrap();
    (total, rows(&desk))
}

#[test]
fn every_vm_is_billed_from_its_order_to_its_end() {
    let (total, rows) = rent("price-per-gpu-hour = 1.0\nbilling = 'hour'\n");
    let column = |key: &str| rows.iter().map(|row| row[key].as_str()).collect::<Vec<_>>();
    assert_eq!(column("commitment"), ["committed", "on-demand", "on-demand", "on-demand"]);
    assert_eq!(column("ordered_s"), ["0"; 4]);
    assert_eq!(column("up_s"), ["0", "100", "100", "100"]);
    // The jobs end at 1,000 and 1,100 s; a VM is given back 300 s later.
    assert_eq!(column("ended_s"), ["1400"; 4]);
    assert_eq!(column("billed_seconds"), ["1400"; 4]);
    assert_eq!(column("billed_minutes"), ["24"; 4]);
    assert_eq!(column("billed_hours"), ["1"; 4]);
    // Four begun hours of 8 GPUs.
    assert!((total - 32.0).abs() < 1e-9, "{total}");
    let (by_the_minute, _) = rent("price-per-gpu-hour = 1.0\nbilling = 'minute'\n");
    assert!((by_the_minute - 4.0 * 8.0 * 24.0 / 60.0).abs() < 1e-6, "{by_the_minute}");
}

#[test]
fn a_reservation_covers_the_vms_that_always_run() {
    let plan = "price-per-gpu-hour = 1.0\nbilling = 'hour'\nplan = 'reserved-1y'\ndiscount = 0.5\n";
    let (total, rows) = rent(plan);
    assert_eq!(rows.iter().filter(|row| row["commitment"] == "committed").count(), 1);
    // One hour of 8 GPUs at half the price, three at all of it.
    assert!((total - (4.0 + 24.0)).abs() < 1e-9, "{total}");
}
