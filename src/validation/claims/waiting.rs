//! Claims that no run here can tell: what is missing, or why nothing will do.

use super::{Claim, Verdict};

/// Numbers, article, what it says, what is missing or why it cannot be told.
type Row = (&'static str, &'static str, &'static str, &'static str);

const PENDING: [Row; 6] = [
    ("5", "S0", "CPU-to-GPU latency rises under virtualization", "services: latencies of requests"),
    (
        "16",
        "S0",
        "NUMA, power, BIOS and network tuning gives gains",
        "a factor of tuned against untuned hosts with a source",
    ),
    (
        "39",
        "S1",
        "48 VMs on one GPU",
        "services: many small tenants with latencies (20 on 80 GB is the most that makers support)",
    ),
    (
        "54",
        "S2",
        "VMs cut effective memory throughput, worst for irregular access",
        "a measurement of irregular access in VMs",
    ),
    ("68", "S2", "shared infrastructure creates tail latency for LLM serving", "services"),
    ("99", "S4", "scheduling jitter pushes p99 and p99.9 over the SLA", "services"),
];

const UNTESTABLE: [Row; 4] = [
    (
        "42",
        "S2",
        "more than 200 billion USD are invested in GPUs",
        "a figure of the market, not of a cluster",
    ),
    (
        "87",
        "S3",
        "isolation on metal is the strongest by design",
        "security is no quantity of a simulation; what separation costs is claim 21",
    ),
    (
        "101",
        "S4",
        "mean use of enterprise GPUs is 30-50 %",
        "a survey: use is an input here; what it costs is claim 85",
    ),
    (
        "111",
        "S4",
        "a managed platform cut delivery from two weeks to ten minutes",
        "the delay of an organization is an input here, not a result",
    ),
];

pub(super) fn claims() -> Vec<Claim> {
    let claim = |(numbers, article, says, why): Row, verdict: fn(String) -> Verdict| Claim {
        numbers,
        article,
        says,
        run: "none",
        figures: Vec::new(),
        verdict: verdict(why.to_owned()),
    };
    let pending = PENDING.into_iter().map(|row| claim(row, Verdict::Pending));
    pending.chain(UNTESTABLE.into_iter().map(|row| claim(row, Verdict::Untestable))).collect()
}
