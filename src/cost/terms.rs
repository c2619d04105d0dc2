//! How a pool or a whole design is paid for: amounts with their currency, nothing computed yet.

use crate::money::{Currency, Money};
use crate::time::SimDuration;

/// Parts of one in a share.
pub const PPM: i128 = 1_000_000;

/// A share in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(i128);

impl Share {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A share from 0 to 100, rounded to a millionth; `None` outside or not a number.
    #[must_use]
    pub fn from_decimal(share: f64) -> Option<Self> {
        (0.0..=100.0).contains(&share).then(|| Self((share * PPM as f64).round() as i128))
    }

    /// Parts per million.
    #[must_use]
    pub const fn ppm(self) -> i128 {
        self.0
    }

    /// As a fraction.
    #[must_use]
    pub const fn fraction(self) -> (i128, i128) {
        (self.0, PPM)
    }

    /// What is missing to one, as a fraction.
    #[must_use]
    pub const fn rest(self) -> (i128, i128) {
        (PPM - self.0, PPM)
    }
}

/// How one pool is paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CostTerms {
    /// Bought.
    Owned(Box<Owned>),
    /// Rented.
    Rented(Box<Rented>),
}

/// A pool that is bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Currency of all its amounts.
    pub currency: Currency,
    /// Purchase price.
    pub price: Price,
    /// Time over which the price is spread evenly; above zero.
    pub lifetime: SimDuration,
    /// Electricity; `None` = not counted.
    pub energy: Option<Energy>,
    /// Switches, cables and their ports; `None` = not counted.
    pub network: Option<Attached>,
    /// Shared storage; `None` = not counted.
    pub storage: Option<Attached>,
    /// Nodes bought as spares, on which nothing runs.
    pub spare_nodes: u32,
    /// What the hardware is worth after its lifetime, as a share of its price.
    pub residual: Share,
    /// Interest per year on what is not written off yet.
    pub financing: Share,
    /// Support per year, as a share of the price of nodes, network and storage.
    pub support: Share,
    /// Floor space and cooling by power; `None` = not counted.
    pub colocation: Option<Colocation>,
    /// People; `None` = not counted.
    pub staff: Option<Staff>,
    /// Hypervisors, vGPU software and the like.
    pub licences: Vec<Licence>,
    /// When it is paid and there.
    pub phase: Phase,
}

impl Owned {
    /// Hardware at a price, written off over a lifetime, and nothing else.
    #[must_use]
    pub fn new(currency: Currency, price: Price, lifetime: SimDuration) -> Self {
        Self {
            currency,
            price,
            lifetime,
            energy: None,
            network: None,
            storage: None,
            spare_nodes: 0,
            residual: Share::ZERO,
            financing: Share::ZERO,
            support: Share::ZERO,
            colocation: None,
            staff: None,
            licences: Vec::new(),
            phase: Phase::default(),
        }
    }
}

/// A pool that is rented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rented {
    /// Currency of the price.
    pub currency: Currency,
    /// Price of an hour on demand.
    pub per_hour: Price,
    /// What a reservation or the spot market takes off it.
    pub discount: Share,
    /// Months that are paid at least, again and again; 0 = none.
    pub committed_months: u32,
    /// What is billed, in which steps.
    pub billing: Billing,
    /// Spot: nodes taken away; `None` = none.
    pub interruption: Option<Interruption>,
    /// Storage, egress and the like beside the GPUs.
    pub extras: Extras,
    /// Hypervisors, vGPU software and the like.
    pub licences: Vec<Licence>,
    /// When it is paid and there.
    pub phase: Phase,
}

impl Rented {
    /// A price per hour for all the time, by the second, and nothing else.
    #[must_use]
    pub fn new(currency: Currency, per_hour: Price) -> Self {
        Self {
            currency,
            per_hour,
            discount: Share::ZERO,
            committed_months: 0,
            billing: Billing::default(),
            interruption: None,
            extras: Extras::default(),
            licences: Vec::new(),
            phase: Phase::default(),
        }
    }
}

/// An amount for each node or each GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// What is counted.
    pub per: Per,
    /// The amount for one.
    pub amount: Money,
}

/// What a price counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Nodes.
    Node,
    /// GPUs.
    Gpu,
}

/// What the electricity of a node costs: idle power and, in proportion to its devices at work, up to busy power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Energy {
    /// Power of one busy node at its plug.
    pub watts_per_node: u32,
    /// Power of one idle node at its plug.
    pub idle_watts_per_node: u32,
    /// Power drawn by the site for each watt at the plug (power usage effectiveness), in thousandths.
    pub pue_milli: u32,
    /// Price of one kWh.
    pub per_kwh: Money,
}

/// What is bought along with the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// An amount for each node (ports x price of a port).
    PerNode(Money),
    /// A share of the price of the nodes.
    OfNodes(Share),
}

/// Floor space and cooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colocation {
    /// Power that is reserved for one node, in W.
    pub watts_per_node: u32,
    /// Price of a kW for a month.
    pub per_kw_month: Money,
}

/// People who run the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staff {
    /// Full-time people for the whole pool, in thousandths.
    pub fte_milli: i128,
    /// Cost of one of them for a year.
    pub per_fte_year: Money,
}

/// A licence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Licence {
    /// Its name.
    pub name: String,
    /// Units that are licensed for each node.
    pub units_per_node: u32,
    /// Fewest units of one order.
    pub least_units: u32,
    /// Price of a unit for a year.
    pub per_year: Money,
    /// Price of a unit, once, written off with the hardware.
    pub once: Money,
    /// Units of one (fractions of a year's price) by the hour instead: price of a unit-hour.
    pub per_hour: Money,
}

/// What of the time of a rented node is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Billing {
    /// Whether a node is paid only while a job holds it; else for all the time that it is installed.
    pub while_used: bool,
    /// Every stretch is rounded up to multiples of this; above zero.
    pub step: SimDuration,
}

impl Default for Billing {
    fn default() -> Self {
        Self { while_used: false, step: SimDuration::from_s(1) }
    }
}

impl Billing {
    /// A span as it is billed, in microseconds.
    #[must_use]
    pub fn billed_us(&self, span_us: i128) -> i128 {
        let step = i128::from(self.step.micros().max(1));
        (span_us + step - 1) / step * step
    }
}

/// Spot nodes are taken away: what that costs in work, as an expectation (the simulation runs through).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// Share of the work on the pool that is lost and repeated.
    pub lost: Share,
}

/// What a provider bills beside the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// For a month, in all: storage x its price and egress x its price.
    pub per_month: Money,
    /// As a share of the rent.
    pub of_rent: Share,
}

/// When a pool is paid and when it is there, in months after the start of the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phase {
    /// Month of payment.
    pub payment_month: u32,
    /// First month with the pool.
    pub delivery_month: u32,
}

/// A line of a quote that is about the whole design: a switch, a service, an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub what: String,
    /// How it is paid.
    pub kind: LineKind,
    /// Count x unit price.
    pub amount: Money,
    /// Currency.
    pub currency: Currency,
    /// When.
    pub phase: Phase,
    /// Months for which a recurring line is owed; 0 = as long as the design stands.
    pub term_months: u32,
}

/// How a line is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// Once; written off over the lifetime.
    Capital {
        /// Time over which it is written off; above zero.
        lifetime: SimDuration,
    },
    /// Every year.
    Yearly,
    /// Every month.
    Monthly,
    /// Every hour.
    Hourly,
}

impl CostTerms {
    /// Currency of all its amounts.
    #[must_use]
    pub fn currency(&self) -> Currency {
        match self {
            Self::Owned(owned) => owned.currency,
            Self::Rented(rented) => rented.currency,
        }
    }

    /// When it is paid and there.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::Owned(owned) => owned.phase,
            Self::Rented(rented) => rented.phase,
        }
    }

    /// Whether its bill needs to know which node was held when.
    #[must_use]
    pub fn needs_holdings(&self) -> bool {
        matches!(self, Self::Rented(rented) if rented.billing.while_used)
    }
}
