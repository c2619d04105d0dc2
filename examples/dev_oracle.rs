use std::io::Read;
use windtunnel::{cluster::*, ids::*, scheduler::*, simulation::*, time::*, workload::*};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mut text = String::new();
    std::fs::File::open(&a[1]).unwrap().read_to_string(&mut text).unwrap();
    let mut w = Workload::default();
    let mut procs = 0u32;
    let lab = w.labels.intern(&Labels::default());
    for l in text.lines() {
        if l.starts_with(';') {
            if let Some((_, v)) = l.split_once("MaxProcs:") {
                procs = v.trim().parse().unwrap();
            }
            continue;
        }
        let f: Vec<i64> = l.split_ascii_whitespace().take(9).map(|x| x.parse().unwrap()).collect();
        let r = Request { cpus: Some(f[7] as u32), ..Default::default() };
        let request = w.requests.intern(&r);
        w.jobs.push(Job {
            submit: SimTime::from_s(f[1]),
            run: SimDuration::from_s(f[3]),
            limit: SimDuration::from_s(f[8]),
            priority: 0,
            name: JobName::Number(f[0] as u32),
            request,
            labels: lab,
            flags: JobFlags::default(),
        });
    }
    drop(text);
    let t = std::time::Instant::now();
    let spec = ClusterSpec::processors(procs);
    let p = PolicySpec::classic(&a[2]).unwrap();
    let policy = Policy {
        ordering: ordering::ordering(&p.order).unwrap(),
        placement: placement::placement(p.placement),
        backfill: p.backfill,
    };
    let o = simulate(&w, &spec, policy, &RunOptions::default()).unwrap();
    eprintln!(
        "{} jobs {} events {} passes {:?} sum {}",
        w.jobs.len(),
        o.events,
        o.passes,
        t.elapsed(),
        o.hours.total().check()
    );
    if let Some(orc) = a.get(3) {
        let mut bad = 0;
        let mut n = 0;
        for l in std::fs::read_to_string(orc).unwrap().lines().skip(1) {
            let f: Vec<f64> = l.split(',').map(|x| x.parse().unwrap()).collect();
            let j = JobId(f[0] as u32 - 1);
            n += 1;
            if o.records[j].start.as_s() != f[2] {
                bad += 1;
                if bad < 5 {
                    eprintln!("job {} {} vs {}", f[0], o.records[j].start, f[2]);
                }
            }
        }
        eprintln!("compared {n}, different {bad}");
    }
}
