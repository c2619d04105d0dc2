//! The same where attempts take as long as their hosts make them take, and hosts come and go.

use super::*;
use crate::cluster::{Amounts, ClusterSpec, NodeSpec, PoolSpec};
use crate::ids::{IdVec, PoolId};
use crate::simulation::slurm::hosted::Hosted;
use crate::simulation::slurm::threads::Daemon;
use crate::tenancy::{
    ClassProfile, ClassShares, Contention, Failures, Kind, Level, Maintenance, Noise, NoiseSpec, PoolTenancy,
    Range, Resource, RunTenancy, Snapshots, SpanLaw, Start,
};
use crate::workload::{Job, JobFlags, JobName, Labels, Request};

fn second(s: i64) -> SimDuration {
    SimDuration::from_s(s)
}

/// Hosts on which everything happens within minutes.
fn restless() -> PoolTenancy {
    let spec = NoiseSpec { cv: 0.3, busy_share: 0.3, dwell: second(40), shape: 1.0, spread: 0.2 };
    let repair = SpanLaw::Uniform { low_s: 20.0, high_s: 90.0 };
    PoolTenancy {
        kind: Kind::Containers,
        noise: Some(Noise::new(spec).unwrap()),
        contention: Some(Contention::at(&Resource::ALL.map(|_| Range::exactly(0.2)), Level::Typical)),
        start: Start::PerJob(SpanLaw::Uniform { low_s: 0.0, high_s: 9.0 }),
        failures: Some(Failures::plain(second(900), repair, true)),
        maintenance: Some(Maintenance { every: second(400), duration: second(30), stun: None }),
        snapshots: Some(Snapshots { every: second(50), takes: second(2), restore: second(5), store: None }),
        ..PoolTenancy::bare_metal()
    }
}

fn tenancy(jobs: usize) -> RunTenancy {
    let shares = ClassShares {
        compute: 0.4,
        gpu_memory: 0.2,
        host: 0.2,
        storage: 0.2,
        intra_at_8: 0.1,
        inter_at_8: 0.1,
    };
    RunTenancy {
        pools: [restless()].into_iter().collect(),
        profiles: vec![ClassProfile {
            shares,
            uses: Resource::ALL.map(|_| 0.5),
            overlap: 0.0,
            all_to_all: false,
            trained: None,
        }],
        profile_of: IdVec::filled(jobs, 0),
        recorded_bytes_s: 1.0,
        stores: Vec::new(),
        own_snapshots: rustc_hash::FxHashMap::default(),
    }
}

impl Site {
    fn recorded(&self) -> Workload {
        let mut workload = Workload::default();
        let labels = workload.labels.intern(&Labels::default());
        let request = workload.requests.intern(&Request::default());
        for (job, number) in self.jobs.iter().zip(0..) {
            workload.jobs.push(Job {
                submit: job.submit,
                run: job.run,
                limit: job.run,
                priority: 0,
                name: JobName::Number(number),
                request,
                labels,
                flags: JobFlags::default(),
            });
        }
        workload
    }

    fn run_on_hosts(&self, uncached: bool, seed: u64) -> SlurmOutcome {
        let (hardware, recorded) = (hardware_of(&self.config), self.recorded());
        let count = self.config.nodes.len();
        let node = NodeSpec {
            name: "n".to_owned(),
            capacity: Amounts { cpus: 16, gpus: 4, mem_mb: 1_000 },
            gpu_type: None,
            gpu_mem_mib: None,
            features: Vec::new(),
        };
        let pool = PoolSpec { name: "n".to_owned(), node, count: count as u32, dedicated: None };
        let cluster = ClusterSpec { pools: vec![pool] };
        let (pools, tenancy) = (vec![PoolId::new(0); count], tenancy(self.jobs.len()));
        let hosted = Hosted {
            tenancy: &tenancy,
            cluster: &cluster,
            recorded: &recorded,
            speeds: None,
            pools: &pools,
            cards: None,
            as_recorded: false,
            spills: None,
            seed,
        };
        let mut calendar = threads::calendar();
        let mut daemon = Daemon::new(self.inputs(&hardware, seed), &mut calendar);
        daemon.put_on(hosted, &mut calendar);
        if uncached {
            daemon.decide_uncached();
        } else {
            daemon.plan_only_what_decides();
        }
        let report = kernel::run(&mut daemon, &mut calendar, Budget::default(), &|| false);
        daemon.into_outcome(report)
    }
}

/// Runs the sites both ways; tells of failures, ends of epochs and attempts that were lost with their hosts.
fn assert_alike(seeds: std::ops::Range<u64>) -> [u64; 3] {
    let mut seen = [0; 3];
    for seed in seeds {
        let site = random_site(seed, version_of(seed));
        let (fast, slow) = (site.run_on_hosts(false, seed), site.run_on_hosts(true, seed));
        assert_same(seed, &fast, &slow);
        let [facts, other] = [&fast, &slow].map(|outcome| &outcome.losses.as_ref().unwrap().facts);
        assert_eq!(facts, other);
        for (at, attempt) in fast.attempts.iter().enumerate() {
            assert!(attempt.end >= attempt.start && attempt.end != SimTime::NEVER, "seed {seed}: {at}");
        }
        let counts = [facts.failures, facts.epochs, facts.lost_attempts];
        seen.iter_mut().zip(counts).for_each(|(seen, count)| *seen += count);
    }
    seen
}

#[test]
fn the_engine_decides_as_without_caches_on_restless_hosts() {
    let seen = assert_alike(0..60);
    assert_alike(1_681..1_682);
    assert!(seen[0] > 100 && seen[1] > 1_000 && seen[2] > 20, "{seen:?}");
}

#[test]
#[ignore = "long: a wider search than the one above"]
fn the_engine_decides_as_without_caches_on_thousands_of_sites_with_restless_hosts() {
    assert_alike(1_000..3_000);
}
