//! The bill of one pool or one line: items that sum to what it costs, each rounded once.

use super::terms::{Attached, CostTerms, Energy, Licence, Line, LineKind, Owned, PPM, Per, Price, Rented};
use crate::money::Money;
use crate::time::SimDuration;

/// Microseconds in one hour.
pub const US_PER_HOUR: i128 = 3_600_000_000;
/// Microseconds in a year of 365.25 days.
pub const US_PER_YEAR: i128 = 31_557_600_000_000;
/// Microseconds in a twelfth of it.
pub const US_PER_MONTH: i128 = US_PER_YEAR / 12;

/// What is paid for, in the order of charts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Nodes, written off.
    Hardware,
    /// Switches, cables, ports, written off.
    Network,
    /// Storage: bought and written off, or rented with egress.
    Storage,
    /// Nodes that stand by, written off.
    Spares,
    /// Interest.
    Financing,
    /// Rent of nodes.
    Rent,
    /// Electricity.
    Electricity,
    /// Floor space and cooling.
    Colocation,
    /// The makers' support.
    Support,
    /// People.
    Staff,
    /// Hypervisors, vGPU software.
    Licences,
    /// Other lines of a quote.
    Services,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Hardware,
        Self::Network,
        Self::Storage,
        Self::Spares,
        Self::Financing,
        Self::Rent,
        Self::Electricity,
        Self::Colocation,
        Self::Support,
        Self::Staff,
        Self::Licences,
        Self::Services,
    ];

    /// Key in results.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Network => "network",
            Self::Storage => "storage",
            Self::Spares => "spares",
            Self::Financing => "financing",
            Self::Rent => "rent",
            Self::Electricity => "electricity",
            Self::Colocation => "colocation",
            Self::Support => "support",
            Self::Staff => "staff",
            Self::Licences => "licences",
            Self::Services => "services",
        }
    }
}

/// One item of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// What is paid for.
    pub part: Part,
    /// Over the horizon.
    pub amount: Money,
    /// What is paid at once for it: then `amount` is what of it is written off in the horizon.
    pub capital: Option<Capital>,
}

/// Something bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capital {
    /// Its price.
    pub price: Money,
    /// What it is worth after its lifetime.
    pub residual: Money,
    /// Its lifetime.
    pub lifetime: SimDuration,
}

/// One pool's terms and how much of it was installed, billed and at work for how long.
#[derive(Clone, Copy, Debug)]
pub struct PoolBill<'a> {
    /// How it is paid for.
    pub terms: &'a CostTerms,
    /// Nodes.
    pub nodes: u32,
    /// GPUs on each node.
    pub gpus_per_node: u32,
    /// The horizon.
    pub horizon: SimDuration,
    /// Share of the devices of all nodes at work over the horizon, as a fraction.
    pub at_work: (i128, i128),
    /// Node time that is billed, in node-microseconds, where it is not all of it (rent while used).
    pub used_node_us: Option<i128>,
    /// Node time in which there is something to license by the hour, in node-microseconds, where it is not all of it: VMs of
    /// an elastic pool, nodes rented while used. Owned hosts are there all the time, whatever their VMs do.
    pub there_node_us: Option<i128>,
    /// What of it is beyond what is committed for, and paid without the discount of the commitment.
    pub on_demand_node_us: i128,
}

impl<'a> PoolBill<'a> {
    /// The bill of `nodes` nodes that are installed and busy for the whole horizon.
    #[must_use]
    pub fn installed(terms: &'a CostTerms, nodes: u32, gpus_per_node: u32, horizon: SimDuration) -> Self {
        Self {
            terms,
            nodes,
            gpus_per_node,
            horizon,
            at_work: (1, 1),
            used_node_us: None,
            there_node_us: None,
            on_demand_node_us: 0,
        }
    }

    /// Installed nodes integrated over time, in node-microseconds.
    #[must_use]
    pub fn installed_node_us(&self) -> i128 {
        let all = i128::from(self.nodes) * i128::from(self.horizon.micros());
        match self.terms {
            // A rented elastic pool is installed as far as its VMs are there.
            CostTerms::Rented(rented) if !rented.billing.while_used => self.there_node_us.unwrap_or(all),
            _ => all,
        }
    }

    /// Node time that is paid, in node-microseconds.
    #[must_use]
    pub fn paid_node_us(&self) -> i128 {
        self.used_node_us.unwrap_or_else(|| self.installed_node_us())
    }

    /// Installed GPUs integrated over time, in GPU-microseconds.
    #[must_use]
    pub fn installed_gpu_us(&self) -> i128 {
        self.installed_node_us() * i128::from(self.gpus_per_node)
    }

    /// How many of what a price counts stand on a node.
    fn each(&self, price: &Price) -> i128 {
        match price.per {
            Per::Node => 1,
            Per::Gpu => i128::from(self.gpus_per_node),
        }
    }

    /// Items that sum to what the pool costs; `None` beyond the range of integers.
    #[must_use]
    pub fn items(&self) -> Option<Vec<Item>> {
        match self.terms {
            CostTerms::Rented(rented) => self.rented(rented),
            CostTerms::Owned(owned) => self.owned(owned),
        }
    }

    fn owned(&self, owned: &Owned) -> Option<Vec<Item>> {
        let mut items = Vec::new();
        let span = i128::from(self.horizon.micros());
        let price = owned.price.amount.times(&[(self.each(&owned.price), 1)])?;
        let nodes = price.times(&[(i128::from(self.nodes), 1)])?;
        let attached = |of: &Option<Attached>| match of {
            None => Some(Money::ZERO),
            Some(Attached::PerNode(amount)) => amount.times(&[(i128::from(self.nodes), 1)]),
            Some(Attached::OfNodes(share)) => nodes.times(&[share.fraction()]),
        };
        let (network, storage) = (attached(&owned.network)?, attached(&owned.storage)?);
        let spares = price.times(&[(i128::from(owned.spare_nodes), 1)])?;
        let residual = owned.residual;
        for (part, price) in [
            (Part::Hardware, nodes),
            (Part::Network, network),
            (Part::Storage, storage),
            (Part::Spares, spares),
        ] {
            items.extend(written_off(part, price, residual.fraction(), owned.lifetime, span)?);
        }
        let licences = self.licences(&mut items, &owned.licences, Some(owned.lifetime))?;
        let hardware = nodes + network + storage + spares;
        // On average half of what is written off, and all that is never written off; a licence has no residual.
        let outstanding = (PPM + residual.ppm(), 2 * PPM);
        let years = (span, US_PER_YEAR);
        let interest = hardware.times(&[outstanding, owned.financing.fraction(), years])?
            + licences.times(&[(1, 2), owned.financing.fraction(), years])?;
        let support = (nodes + network + storage).times(&[owned.support.fraction(), years])?;
        let energy = match &owned.energy {
            None => Money::ZERO,
            Some(energy) => self.electricity(energy)?,
        };
        let colocation = match &owned.colocation {
            None => Money::ZERO,
            Some(place) => {
                let kilowatts = (i128::from(place.watts_per_node) * i128::from(self.nodes), 1000);
                place.per_kw_month.times(&[kilowatts, (span, US_PER_MONTH)])?
            }
        };
        let staff = match &owned.staff {
            None => Money::ZERO,
            Some(staff) => staff.per_fte_year.times(&[(staff.fte_milli, 1000), years])?,
        };
        items.extend(running([
            (Part::Financing, interest),
            (Part::Electricity, energy),
            (Part::Colocation, colocation),
            (Part::Support, support),
            (Part::Staff, staff),
        ]));
        Some(items)
    }

    fn rented(&self, rented: &Rented) -> Option<Vec<Item>> {
        let mut items = Vec::new();
        let span = i128::from(self.horizon.micros());
        let all = i128::from(self.nodes) * rented.billing.billed_us(span);
        let node_us = self.used_node_us.unwrap_or(all);
        let hours = |node_us: i128| (node_us * self.each(&rented.per_hour), US_PER_HOUR);
        let per_hour = rented.per_hour.amount;
        let rent = per_hour.times(&[hours(node_us - self.on_demand_node_us), rented.discount.rest()])?
            + per_hour.times(&[hours(self.on_demand_node_us)])?;
        let extras = rented.extras.per_month.times(&[(span, US_PER_MONTH)])?
            + rent.times(&[rented.extras.of_rent.fraction()])?;
        items.extend(running([(Part::Rent, rent), (Part::Storage, extras)]));
        self.licences(&mut items, &rented.licences, None)?;
        Some(items)
    }

    /// Adds the licences and tells what of them is bought once. What is rented has no lifetime: a licence bought
    /// once for it is written off over five years of the horizon, which the scenario does not allow.
    fn licences(
        &self,
        items: &mut Vec<Item>,
        licences: &[Licence],
        lifetime: Option<SimDuration>,
    ) -> Option<Money> {
        let span = i128::from(self.horizon.micros());
        let node_us = self.there_node_us.unwrap_or_else(|| self.installed_node_us());
        let (mut bought, mut running_cost) = (Money::ZERO, Money::ZERO);
        for licence in licences {
            let (per_node, least) = (i128::from(licence.units_per_node), i128::from(licence.least_units));
            let units = (per_node * i128::from(self.nodes)).max(least);
            // By the hour it is paid for while there is something to license.
            let unit_us = (per_node * node_us).max(least * span);
            running_cost = running_cost
                + licence.per_year.times(&[(units, 1), (span, US_PER_YEAR)])?
                + licence.per_hour.times(&[(unit_us, US_PER_HOUR)])?;
            bought = bought + licence.once.times(&[(units, 1)])?;
        }
        if let Some(lifetime) = lifetime {
            items.extend(written_off(Part::Licences, bought, (0, 1), lifetime, span)?);
        }
        items.extend(running([(Part::Licences, running_cost)]));
        Some(bought)
    }

    /// Electricity of the pool; `None` beyond the range of integers.
    fn electricity(&self, energy: &Energy) -> Option<Money> {
        // W x thousandths of PUE x us, over 1000 W/kW x 1000 thousandths x us/h, is kWh.
        let (work, whole) = self.at_work;
        let idle = i128::from(energy.idle_watts_per_node);
        let watts = idle
            .checked_mul(whole)?
            .checked_add((i128::from(energy.watts_per_node) - idle).checked_mul(work)?)?;
        energy.per_kwh.times(&[
            (watts, whole),
            (i128::from(energy.pue_milli), 1000),
            (self.installed_node_us(), 1000 * US_PER_HOUR),
        ])
    }
}

/// What of a purchase is written off in `span`; nothing for nothing.
fn written_off(
    part: Part,
    price: Money,
    (residual, whole): (i128, i128),
    lifetime: SimDuration,
    span: i128,
) -> Option<Option<Item>> {
    if price == Money::ZERO {
        return Some(None);
    }
    let spread = (span, i128::from(lifetime.micros()));
    let amount = price.times(&[(whole - residual, whole), spread])?;
    let residual = price.times(&[(residual, whole)])?;
    Some(Some(Item { part, amount, capital: Some(Capital { price, residual, lifetime }) }))
}

fn running<const N: usize>(items: [(Part, Money); N]) -> impl Iterator<Item = Item> {
    let some = items.into_iter().filter(|(_, amount)| *amount != Money::ZERO);
    some.map(|(part, amount)| Item { part, amount, capital: None })
}

impl Line {
    /// What the line costs over a horizon; `None` beyond the range of integers.
    #[must_use]
    pub fn items(&self, horizon: SimDuration) -> Option<Vec<Item>> {
        let span = i128::from(horizon.micros());
        let (part, amount) = (Part::Services, self.amount);
        let per = |us: i128| amount.times(&[(span, us)]);
        let item = match self.kind {
            LineKind::Capital { lifetime } => {
                return Some(written_off(part, amount, (0, 1), lifetime, span)?.into_iter().collect());
            }
            LineKind::Yearly => per(US_PER_YEAR)?,
            LineKind::Monthly => per(US_PER_MONTH)?,
            LineKind::Hourly => per(US_PER_HOUR)?,
        };
        Some(running([(part, item)]).collect())
    }
}
