//! Submission: what `sbatch` is answered, and the record that it makes.

use std::collections::VecDeque;

use smallvec::{SmallVec, smallvec};

use super::NodeSet;
use super::config::Tres;
use super::config::{AssocId, QosId, TresTable};
use super::controller::{ArrayState, Controller, Refusal};
use super::devices::Held;
use super::job::{Ask, Dependency, Job, JobIx, JobSpec, Reason, StartedBy, State};
use crate::cluster::Allocation;
use crate::time::SimTime;

impl Controller<'_> {
    /// Takes in submission `spec` at second `now_s`.
    ///
    /// # Errors
    /// [`Refusal`]: the job is not queued at all.
    pub fn submit(&mut self, spec: usize, now_s: i64) -> Result<JobIx, Refusal> {
        let asked = &self.specs[spec];
        let user = self.user(&asked.user);
        let mut partitions = self.partitions_of(asked)?;
        let assoc = self.association(asked, user)?;
        let qos = self.qos_of(asked, assoc)?;
        let reservation = self.reservation_of(asked)?;
        if !self.has_licences_for(asked) {
            return Err(Refusal::Licences);
        }
        // of several partitions those count that can hold the job and let its user in
        partitions.retain(|at| self.could_hold(asked, *at));
        if partitions.is_empty() {
            return Err(Refusal::NodeConfiguration);
        }
        let sizes = |at: usize| self.config.partitions[at].sizes.or(self.config.sizes);
        partitions.retain(|at| sizes(*at).allow_mem(asked.ask.mem_mb_per_node));
        if partitions.is_empty() {
            return Err(Refusal::Memory);
        }
        partitions.retain(|at| self.group_lets(asked, *at));
        let partition = *partitions.first().ok_or(Refusal::Group)?;
        self.check_submit_limits(asked, assoc, &self.qos_order(qos, partition), user)?;
        let job = self.new_record(spec, user, assoc, qos, partition, reservation, now_s);
        if let Some(limit) = self.denied(job) {
            self.forget_record(job);
            return Err(Refusal::Limit(limit));
        }
        self.count_submitted(job, 1);
        self.settle_independence(job, now_s);
        self.jobs[job.at()].priority = self.first_priority(job, now_s);
        self.note_change(now_s);
        self.note_submission(job);
        if asked.array.is_none() && self.jobs[job.at()].state == State::Pending {
            self.add_alternatives(job, &partitions[1..], now_s);
        }
        Ok(job)
    }

    /// The partitions that a job names, in its order; those that take no jobs only if there is no other.
    fn partitions_of(&self, asked: &JobSpec) -> Result<SmallVec<[usize; 2]>, Refusal> {
        let named: Option<SmallVec<[usize; 2]>> = match &asked.partition {
            Some(names) => names.split(',').map(|name| self.config.partition(name)).collect(),
            None => self.config.default_partition().map(|at| smallvec![at]),
        };
        let mut named = named.ok_or(Refusal::Partition)?;
        named.retain(|at| self.config.partitions[*at].state.submit);
        if named.is_empty() { Err(Refusal::PartitionNotAvail) } else { Ok(named) }
    }

    /// Whether a partition's nodes, all empty and up, could hold a job.
    fn could_hold(&mut self, asked: &JobSpec, partition: usize) -> bool {
        asked.wider.as_ref().is_some_and(|wider| self.is_possible(wider, partition))
            || self.is_possible(&asked.ask, partition)
    }

    /// The limit of a job without one, in minutes.
    pub(super) fn usual_limit_min(&self, partition: usize) -> u32 {
        let conf = &self.config.partitions[partition];
        conf.default_time_min.or(conf.max_time_min).unwrap_or(YEAR_MIN)
    }

    fn association(&mut self, asked: &JobSpec, user: u32) -> Result<Option<AssocId>, Refusal> {
        if !self.config.accounting.present {
            return Ok(None);
        }
        let key = (user, asked.account.clone());
        if let Some(known) = self.user_assocs.get(&key) {
            return Ok(Some(*known));
        }
        let found = match &asked.account {
            Some(account) => self.config.accounting.find_assoc(account, Some(&asked.user)),
            None => self
                .config
                .accounting
                .assocs
                .iter()
                .position(|a| a.user.as_deref() == Some(&asked.user))
                .and_then(|at| u32::try_from(at).ok())
                .map(AssocId),
        };
        match found {
            Some(assoc) => {
                self.user_assocs.insert(key, assoc);
                Ok(Some(assoc))
            }
            None if self.config.accounting.enforce.associations => Err(Refusal::Association),
            None => Ok(None),
        }
    }

    fn qos_of(&self, asked: &JobSpec, assoc: Option<AssocId>) -> Result<QosId, Refusal> {
        let accounting = &self.config.accounting;
        let qos = match &asked.qos {
            Some(name) => accounting.find_qos(name).ok_or(Refusal::Qos)?,
            None => assoc
                .and_then(|a| accounting.chain(a).find_map(|at| accounting.assoc(at).default_qos))
                .unwrap_or(QosId(0)),
        };
        let allowed = !accounting.enforce.qos || assoc.is_none_or(|a| accounting.allows_qos(a, qos));
        if allowed { Ok(qos) } else { Err(Refusal::Qos) }
    }

    fn reservation_of(&self, asked: &JobSpec) -> Result<Option<usize>, Refusal> {
        let Some(name) = &asked.reservation else { return Ok(None) };
        let at = self
            .reservations
            .iter()
            .rposition(|r| r.name == **name && !r.gone)
            .ok_or(Refusal::Reservation)?;
        let account = asked.account.as_deref().unwrap_or("");
        if self.reservations[at].admits(&asked.user, account) {
            Ok(Some(at))
        } else {
            Err(Refusal::ReservationAccess)
        }
    }

    /// `AllowGroups`: whether one of the partition's groups has the user. Groups whose members are not known let
    /// everybody in.
    fn group_lets(&self, asked: &JobSpec, partition: usize) -> bool {
        let Some(allowed) = &self.config.partitions[partition].allow_groups else { return true };
        let groups = &self.config.accounting.groups;
        let has = |members: Option<&Vec<String>>| {
            members.is_none_or(|m| m.iter().any(|name| **name == *asked.user))
        };
        &*asked.user == "root" || allowed.iter().any(|name| has(groups.get(name)))
    }

    /// The limit of a QOS with `DenyOnLimit` that the job exceeds by itself.
    fn denied(&self, job: JobIx) -> Option<&'static str> {
        let record = &self.jobs[job.at()];
        let order = self.qos_order(record.qos, record.partition);
        if !order.iter().any(|qos| self.config.accounting.qos(*qos).flags.deny_on_limit) {
            return None;
        }
        let ask = self.ask(job);
        self.own_limit(job, &self.tres_of(job, ask.min_nodes, u64::from(ask.cpus)))
    }

    /// Takes the record made last back.
    fn forget_record(&mut self, job: JobIx) {
        self.leave_pending(job);
        let record = self.jobs.pop().expect("it was made just now");
        self.records[record.spec].retain(|r| *r != job);
        if self.specs[record.spec].array.is_some() {
            self.arrays.pop();
        }
    }

    fn is_possible(&mut self, ask: &Ask, partition: usize) -> bool {
        if let Some(known) = self.possible.get(&(ask.clone(), partition)) {
            return *known;
        }
        let possible = self.fits_when_empty(ask, partition);
        self.possible.insert((ask.clone(), partition), possible);
        possible
    }

    /// Whether the job fits on the partition's nodes if all were empty and up.
    fn fits_when_empty(&self, ask: &Ask, partition: usize) -> bool {
        let empty: Vec<_> = self.hardware.iter().map(|h| h.empty.clone()).collect();
        let rule = self.placement_in(partition).later();
        let partition = &self.config.partitions[partition];
        rule.choose(ask, &partition.nodes, &empty).is_some()
            || partition.max_nodes.is_some_and(|most| ask.min_nodes > most)
    }

    #[allow(clippy::too_many_arguments)] // each is a fact of the submission, looked up one by one above
    fn new_record(
        &mut self,
        spec: usize,
        user: u32,
        assoc: Option<AssocId>,
        qos: QosId,
        partition: usize,
        reservation: Option<usize>,
        now_s: i64,
    ) -> JobIx {
        let asked = &self.specs[spec];
        let usual_limit_min = self.usual_limit_min(partition);
        let id = self.next_job_id;
        let tasks: VecDeque<u32> = asked.array.iter().flat_map(|a| a.tasks.iter().copied()).collect();
        self.next_job_id += u32::try_from(tasks.len().max(1)).expect("arrays are small");
        let array = self.array_state(asked);
        let job = Job {
            spec,
            id,
            task: None,
            array,
            pending_tasks: tasks,
            list_order: self.next_list_order(),
            state: State::Pending,
            reason: if asked.hold { Reason::JobHeldUser } else { Reason::None },
            priority: 0,
            user,
            assoc,
            qos,
            partition,
            reservation,
            limit_min: asked.limit_min.unwrap_or(usual_limit_min),
            submit_s: now_s,
            begin_s: asked.begin_s,
            accrue_s: None,
            start: SimTime::ZERO,
            start_s: 0,
            end_planned_s: 0,
            attempt: 1,
            waiting_for: known_dependencies(asked),
            grants: Allocation::new(),
            is_wider: false,
            switches_from_s: None,
            most_leaves: None,
            held: Held::new(),
            reshapes: Vec::new(),
            nodes: NodeSet::new(),
            tres: Tres::default(),
            billing: 0.0,
            usage_to_s: 0,
            completing: false,
            preempt_start_s: i64::MIN,
            preempted_s: None,
            preempt_in_progress: false,
            started_by: StartedBy::Main,
        };
        let at = JobIx(u32::try_from(self.jobs.len()).expect("fewer than 2^32 records"));
        self.jobs.push(job);
        self.records[spec].push(at);
        self.put_in_queue(at);
        at
    }

    /// The state that an array's tasks share.
    fn array_state(&mut self, asked: &JobSpec) -> Option<usize> {
        let next = self.arrays.len();
        let (at, limit) = match (&asked.array, asked.task_of) {
            (Some(array), _) => (next, array.limit),
            (None, Some(task)) => (*self.array_numbers.entry(task.array).or_insert(next), task.limit),
            (None, None) => return None,
        };
        if at == next {
            self.arrays.push(ArrayState { limit, running: 0 });
        }
        Some(at)
    }

    /// What a job holds on these nodes with so many CPUs: all of them where it has them for itself.
    pub(super) fn tres_on(&self, job: JobIx, nodes: &[usize], cpus: u64) -> Tres {
        let count = u32::try_from(nodes.len()).expect("few nodes");
        if !self.ask(job).exclusive {
            return self.tres_of(job, count, cpus);
        }
        let cpus = nodes.iter().map(|n| u64::from(self.config.nodes[*n].cpus)).sum();
        let mut tres = self.tres_of(job, count, cpus);
        for (at, name) in self.config.accounting.tres.names.iter().enumerate() {
            let Some(gres) = name.strip_prefix("gres/gpu") else { continue };
            let kind = gres.strip_prefix(':').map(|kind| self.config.find_device_type(kind));
            let of_kind = |g: &&super::config::GresCount| kind.is_none_or(|kind| g.device_type == kind);
            let all = nodes.iter().flat_map(|n| self.config.nodes[*n].gres.iter().filter(of_kind));
            tres.set(at, all.map(|g| u64::from(g.count)).sum());
        }
        tres.set(TresTable::BILLING, self.billing_of(job, &tres) as u64);
        tres
    }

    /// What a job will hold on `nodes` nodes, for limits and billing.
    pub(super) fn tres_of(&self, job: JobIx, nodes: u32, cpus: u64) -> Tres {
        let ask = self.ask(job);
        let mut tres = Tres::default();
        tres.set(TresTable::CPU, cpus);
        tres.set(TresTable::MEM, ask.mem_mb_per_node * u64::from(nodes));
        tres.set(TresTable::NODE, u64::from(nodes));
        for gres in &ask.gres {
            let count = u64::from(gres.count) * u64::from(nodes);
            tres.set(TresTable::GPU, tres.get(TresTable::GPU) + count);
            if let Some(kind) = gres.device_type {
                let name = format!("gres/gpu:{}", self.config.device_types[kind.0 as usize]);
                if let Some(at) = self.config.accounting.tres.names.iter().position(|n| *n == name) {
                    tres.set(at, tres.get(at) + count);
                }
            }
        }
        self.count_licences(job, &mut tres);
        tres.set(TresTable::BILLING, self.billing_of(job, &tres) as u64);
        tres
    }

    /// `license/NAME`, where limits or weights name it.
    fn count_licences(&self, job: JobIx, tres: &mut Tres) {
        for (licence, count) in self.spec(job).licences.iter().flat_map(|ask| &ask.wanted) {
            let name = format!("license/{}", self.config.licences[*licence].name.to_ascii_lowercase());
            if let Some(at) = self.config.accounting.tres.names.iter().position(|known| *known == name) {
                tres.set(at, u64::from(*count));
            }
        }
    }

    /// Billing units per second of what a job holds.
    pub(super) fn billing_of(&self, job: JobIx, tres: &Tres) -> f64 {
        let partition = &self.config.partitions[self.jobs[job.at()].partition];
        if partition.billing.is_empty() {
            return tres.get(TresTable::CPU) as f64;
        }
        let parts = partition.billing.iter().map(|(at, weight)| tres.get(*at) as f64 * weight);
        if self.config.priority.max_tres { parts.fold(0.0, f64::max) } else { parts.sum() }
    }
}

/// `YEAR_MINUTES`: a limit where neither job nor partition has one.
const YEAR_MIN: u32 = 365 * 24 * 60;

/// Dependencies as submitted.
fn known_dependencies(asked: &JobSpec) -> Vec<Dependency> {
    asked.after.clone()
}
