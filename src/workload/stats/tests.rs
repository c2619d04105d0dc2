use super::*;
use crate::ids::IdVec;
use crate::time::{SimDuration, SimTime};
use crate::workload::{JobName, Labels};

/// A workload of (submit s, run s, limit s, GPUs, user).
fn workload(rows: &[(i64, i64, i64, u32, &str)]) -> Workload {
    let mut w = Workload::default();
    let mut jobs = Vec::new();
    for (n, (submit, run, limit, gpus, user)) in (1..).zip(rows) {
        let request = Request { gpus: (*gpus > 0).then_some(*gpus), cpus: Some(2), ..Request::default() };
        let labels = Labels { user: Some(w.texts.intern(user)), ..Labels::default() };
        jobs.push(Job {
            submit: SimTime::from_s(*submit),
            run: SimDuration::from_s(*run),
            limit: SimDuration::from_s(*limit),
            priority: 0,
            name: JobName::Number(n),
            request: w.requests.intern(&request),
            labels: w.labels.intern(&labels),
            flags: JobFlags::default(),
        });
    }
    w.jobs = IdVec::from_vec(jobs);
    w
}

#[test]
fn a_worked_example() {
    // GPUs over time: 2 in [0, 3600), none, 8 in [7200, 14400).
    let w = workload(&[(0, 3600, 7200, 2, "a"), (7200, 7200, 7200, 8, "b"), (14_400, 60, 600, 0, "a")]);
    let s = stats(&w, Some(Capacity { gpus: Some(8), cpus: Some(10), gpus_per_node: Some(4) }));
    assert_eq!((s.jobs, s.gpu_jobs, s.span_s), (3, 2, 14_400.0));
    assert_eq!(s.gpu_hours, 18.0);
    assert_eq!(s.offered_load_gpu, Some(18.0 / 32.0));
    let demand = s.gpu_demand.unwrap();
    assert_eq!(demand.duty_cycle, 0.75);
    assert_eq!((demand.mean, demand.peak), (4.5, 8.0));
    assert_eq!(demand.hourly_peak_to_mean, 8.0 / 4.5);
    assert_eq!(demand.weekly_variation, None);
    assert_eq!(s.multi_gpu_share, Some(1.0));
    assert_eq!(s.multi_node_share, Some(16.0 / 18.0));
    assert_eq!(s.session_share, Some(0.0));
    assert_eq!(s.users.top_1_share, Some(16.0 / 18.0));
    assert_eq!(s.limits.censored_share, Some(1.0 / 3.0));
    assert_eq!(s.limits.accuracy.unwrap().p50, 0.5);
    assert_eq!(s.sizes.len(), 2);
    assert_eq!(s.classes["(none)"].jobs, 3);
}

#[test]
fn back_to_back_jobs_are_no_peak() {
    let w = workload(&[(0, 100, 100, 4, "a"), (100, 100, 100, 4, "a"), (200, 1, 1, 1, "a")]);
    let demand = stats(&w, None).gpu_demand.unwrap();
    assert_eq!((demand.peak, demand.duty_cycle), (4.0, 1.0));
}

#[test]
fn weeks_are_compared() {
    let week = 168 * 3600;
    let w = workload(&[(0, 3600, 3600, 1, "a"), (week, 3 * 3600, 1, 1, "a"), (2 * week, 1, 1, 1, "a")]);
    // 1 and 3 GPU-hours: mean 2, deviation 1.
    assert_eq!(stats(&w, None).gpu_demand.unwrap().weekly_variation, Some(0.5));
}

#[test]
fn an_empty_trace_has_no_figures_and_no_panic() {
    let s = stats(&Workload::default(), Some(Capacity { gpus: Some(8), ..Capacity::default() }));
    assert_eq!(s.jobs, 0);
    assert!(s.run_s.is_none() && s.gpu_demand.is_none() && s.offered_load_gpu.is_none());
    let json = serde_json::to_string(&s).unwrap();
    assert!(!json.contains("NaN"), "{json}");
    // One instant: no span, no rates.
    let s = stats(&workload(&[(5, 10, 10, 1, "a"), (5, 10, 10, 1, "a")]), None);
    assert!(s.gpu_demand.is_none() && s.arrivals.per_hour.is_none());
}

#[test]
fn amounts_follow_the_request() {
    let milli = |f: &dyn Fn(&mut Request)| {
        let mut r = Request::default();
        f(&mut r);
        milli_gpus(&r)
    };
    assert_eq!(milli(&|_| ()), 0);
    assert_eq!(milli(&|r| r.gpus = Some(3)), 3000);
    assert_eq!(milli(&|r| (r.nodes, r.gpus_per_node) = (Some(2), Some(8))), 16_000);
    assert_eq!(milli(&|r| (r.tasks, r.gpus_per_task) = (Some(5), Some(1))), 5000);
    assert_eq!(milli(&|r| (r.gpus, r.gpu_milli) = (Some(1), Some(250))), 250);
    assert_eq!(milli(&|r| r.gpu_milli = Some(250)), 250);
    assert_eq!(cpus(&Request { tasks: Some(4), cpus_per_task: Some(3), ..Request::default() }), 12);
    assert_eq!(cpus(&Request { nodes: Some(2), tasks_per_node: Some(8), ..Request::default() }), 16);
}
