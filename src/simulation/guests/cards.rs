//! Jobs on parts of one GPU: what they do to each other there, and with whom they take turns on time slices.
//!
//! A GPU is a place like a host: who comes or goes changes the others. Its law is one of
//! [`CoLocation`](crate::scheduler::shared::CoLocation); its factor is a speed in parts of 10^9, which multiplies that of
//! the host. Only jobs in pools whose law looks at neighbours are noted on their GPUs.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::{Guests, ONE};
use crate::ids::PoolId;
use crate::scheduler::shared::Speeds;
use crate::scheduler::shared::speed::Resident;
use crate::tenancy::{Company, SliceOrder, Slices};
use crate::time::SimTime;

/// A GPU: its host, by the first node there, and its index.
pub(in crate::simulation) type Gpu = (u32, u8);

/// What a job has of GPUs that others may be on.
#[derive(Clone, Debug)]
pub(in crate::simulation) struct OnCards {
    pub(in crate::simulation) pool: PoolId,
    /// The GPU of each of its devices, with the thousandths that are its share.
    pub(in crate::simulation) devices: SmallVec<[(Gpu, u16); 1]>,
    /// As its neighbours feel it.
    pub(in crate::simulation) resident: Resident,
    /// Whether it feels them.
    pub(in crate::simulation) feels_others: bool,
}

impl OnCards {
    /// The GPUs, each once.
    fn gpus(&self) -> SmallVec<[Gpu; 4]> {
        let mut gpus: SmallVec<[Gpu; 4]> = self.devices.iter().map(|(gpu, _)| *gpu).collect();
        gpus.sort_unstable();
        gpus.dedup();
        gpus
    }
}

/// Who is on which GPU, where that matters.
#[derive(Debug, Default)]
pub(super) struct CardPlaces {
    laws: Option<Speeds>,
    residents: FxHashMap<Gpu, SmallVec<[u32; 4]>>,
    /// With whom each job on time slices takes turns, and since when.
    company: FxHashMap<u32, (Company, SimTime)>,
    /// Microseconds for which jobs of a pool took turns in a company.
    met: BTreeMap<(PoolId, Company), i128>,
}

impl CardPlaces {
    pub(super) fn new(laws: Option<Speeds>) -> Self {
        Self { laws, ..Self::default() }
    }

    /// A job comes to its GPUs; tells who else is there.
    pub(super) fn enter(&mut self, slot: u32, cards: &OnCards, touched: &mut SmallVec<[u32; 8]>) {
        if !cards.feels_others {
            return;
        }
        for gpu in cards.gpus() {
            let there = self.residents.entry(gpu).or_default();
            touched.extend(there.iter().copied());
            there.push(slot);
        }
    }

    /// A job leaves its GPUs; tells who is left there.
    pub(super) fn leave(
        &mut self,
        slot: u32,
        cards: &OnCards,
        now: SimTime,
        touched: &mut SmallVec<[u32; 8]>,
    ) {
        if let Some((company, since)) = self.company.remove(&slot) {
            *self.met.entry((cards.pool, company)).or_default() += i128::from(now.since(since).micros());
        }
        if !cards.feels_others {
            return;
        }
        for gpu in cards.gpus() {
            let Some(there) = self.residents.get_mut(&gpu) else { continue };
            there.retain(|other| *other != slot);
            touched.extend(there.iter().copied());
            if there.is_empty() {
                self.residents.remove(&gpu);
            }
        }
    }
}

impl Guests<'_> {
    /// Speed of a job beside the others on its slowest GPU, in parts of 10^9.
    pub(super) fn beside(&self, slot: u32, cards: &OnCards) -> u64 {
        let Some(laws) = self.cards.laws.as_ref().filter(|_| cards.feels_others) else { return ONE };
        let on = |gpu: &Gpu| {
            let there = self.cards.residents.get(gpu).into_iter().flatten();
            let others: SmallVec<[Resident; 8]> =
                there.filter(|other| **other != slot).filter_map(|other| self.resident(*other)).collect();
            laws.beside(&cards.resident, &others, cards.pool.0 as usize)
        };
        cards.gpus().iter().map(on).min().unwrap_or(ONE)
    }

    /// Whether others are on its GPUs.
    pub(super) fn has_company(&self, slot: u32, cards: &OnCards) -> bool {
        let others =
            |gpu: &Gpu| self.cards.residents.get(gpu).into_iter().flatten().any(|other| *other != slot);
        cards.gpus().iter().any(others)
    }

    fn resident(&self, slot: u32) -> Option<Resident> {
        let guest = self.rows.get(slot as usize)?.as_ref()?;
        guest.job.cards.as_ref().map(|cards| cards.resident)
    }

    /// Notes with whom a job on time slices takes turns from now on.
    pub(super) fn note_company(&mut self, slot: u32, now: SimTime) {
        let Some(cards) = self.rows[slot as usize].as_ref().and_then(|guest| guest.job.cards.as_ref()) else {
            return;
        };
        let pool = cards.pool;
        let Some(slices) = self.spec.pools[pool].slices else { return };
        let company = self.company_of(slot, cards, &slices);
        let before = self.cards.company.get(&slot).copied();
        if before.is_some_and(|(before, _)| before == company) {
            return;
        }
        if let Some((before, since)) = before {
            *self.cards.met.entry((pool, before)).or_default() += i128::from(now.since(since).micros());
        }
        self.cards.company.insert(slot, (company, now));
    }

    fn company_of(&self, slot: u32, cards: &OnCards, slices: &Slices) -> Company {
        let (mut vgpus, mut busy) = (1u16, 0.0);
        for (gpu, milli) in &cards.devices {
            if slices.order == SliceOrder::FixedShare {
                vgpus = vgpus.max(1000 / (*milli).max(1));
                continue;
            }
            let there = self.cards.residents.get(gpu).into_iter().flatten();
            let others: SmallVec<[f64; 8]> = there
                .filter(|other| **other != slot)
                .filter_map(|other| Some(self.resident(*other)?.use_alone))
                .collect();
            if others.len() as u16 >= vgpus {
                vgpus = others.len() as u16 + 1;
                busy = others.iter().sum::<f64>() / others.len() as f64;
            }
        }
        Company { vgpus, busy_milli: libm::round(busy.clamp(0.0, 1.0) * 1000.0) as u16 }
    }

    /// With whom jobs on time slices took turns, and for how long.
    pub(in crate::simulation) fn companies(&self) -> Vec<(Slices, Company, i128)> {
        let row = |((pool, company), us): (&(PoolId, Company), &i128)| {
            Some((self.spec.pools[*pool].slices?, *company, *us))
        };
        self.cards.met.iter().filter_map(row).collect()
    }
}
