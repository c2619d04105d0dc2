//! The `cost` tables of a pool: owned or rented.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Named;

/// How a pool is paid for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CostTable {
    /// Bought and written off.
    Owned(Box<OwnedTable>),
    /// Rented by the hour.
    Rented(Box<RentedTable>),
}

/// What the catalogue fills in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CostDefaults {
    /// The price, and for owned pools depreciation and electricity. What else is not written is not counted.
    Price,
    /// Everything that the catalogue has a row for: also network, storage, residual, colocation, support, staff;
    /// for rented pools storage and egress.
    All,
}

/// What a bought pool costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OwnedTable {
    /// Currency (three capitals) of all amounts here; default USD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// What is taken from the catalogue where nothing is written; default price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<CostDefaults>,
    /// Price of a node; default from the design's quote, else from the catalogue. 0 for what is paid already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_node: Option<f64>,
    /// Price for each GPU, instead of a price per node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_gpu: Option<f64>,
    /// Years over which the price is written off (365.25 days each); default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depreciation_years: Option<f64>,
    /// Price of a kWh; default from the catalogue; 0 leaves electricity out. A node draws its idle power and, with
    /// the share of its devices at work, up to its busy power; busy power around the clock where the idle power
    /// is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_kwh: Option<f64>,
    /// Power of the site for each watt at the plug; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pue: Option<f64>,
    /// Worth after the depreciation, as a share of the price; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residual: Option<f64>,
    /// Interest per year on what is not written off (0.06 = 6 %); default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub financing_rate: Option<f64>,
    /// Fabric ports of a node, with `price-per-port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports_per_node: Option<u32>,
    /// Price of a port: its share of switches, optics and cables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_port: Option<f64>,
    /// Network as a share of the nodes' price, instead of ports; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_share: Option<f64>,
    /// Shared storage as a share of the nodes' price; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_share: Option<f64>,
    /// Nodes bought as spares, on which nothing runs; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spare_nodes: Option<u32>,
    /// Support per year as a share of the price of nodes, network and storage; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_share: Option<f64>,
    /// Floor space and cooling: price of a kW for a month; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colocation_per_kw_month: Option<f64>,
    /// Power that is reserved for a node there, in kW; default its rated power, else its busy power.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colocation_kw_per_node: Option<f64>,
    /// Full-time people for this pool; instead of `staff-per-1000-gpus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff_fte: Option<f64>,
    /// Full-time people for 1000 GPUs; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff_per_1000_gpus: Option<f64>,
    /// Cost of one of them for a year; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff_cost_per_year: Option<f64>,
    /// Licences by name; a name of the catalogue brings unit and price.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub licence: Named<LicenceTable>,
    /// Month after the start of the plan in which it is paid; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_month: Option<u32>,
    /// Month after the start of the plan from which it is there; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_month: Option<u32>,
}

/// What a rented pool costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RentedTable {
    /// Currency (three capitals) of all amounts here; default USD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// What is taken from the catalogue where nothing is written; default price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<CostDefaults>,
    /// Price of an hour for each GPU, before any discount; default from the design's quote, else from the
    /// catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_gpu_hour: Option<f64>,
    /// Price of an hour for each node, instead of a price per GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_node_hour: Option<f64>,
    /// The contract; default on-demand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<RentPlan>,
    /// Share off the price per hour that the plan gives; default from the catalogue for reserved and spot, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<f64>,
    /// What of a node's time is paid; default installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billed: Option<Billed>,
    /// Steps to which every stretch is rounded up; default second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing: Option<BillingStep>,
    /// Length of a block in hours, where `billing = "block"` or `plan = "block"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_hours: Option<f64>,
    /// Spot: how often a node is taken away, in a day of its use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interruptions_per_node_day: Option<f64>,
    /// Spot: minutes of work that an interruption costs (work since the last checkpoint, and the restart).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_minutes_per_interruption: Option<f64>,
    /// Rented storage in TB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_tb: Option<f64>,
    /// Price of a TB for a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_tb_month: Option<f64>,
    /// Traffic out of the provider's network in TB a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_tb_per_month: Option<f64>,
    /// Price of a TB of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_tb_egress: Option<f64>,
    /// Storage, egress and management as a share of the rent, instead; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extras_share: Option<f64>,
    /// Licences by name; a name of the catalogue brings unit and price.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub licence: Named<LicenceTable>,
    /// Month after the start of the plan from which it is there and paid; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_month: Option<u32>,
}

/// The contract of a rented pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RentPlan {
    /// Given back any time.
    OnDemand,
    /// Committed for a year, again and again; of an elastic pool the VMs that always run, the others are on demand.
    #[serde(rename = "reserved-1y")]
    Reserved1y,
    /// The same for three years.
    #[serde(rename = "reserved-3y")]
    Reserved3y,
    /// Blocks of `block-hours`, paid whole.
    Block,
    /// Can be taken away.
    Spot,
}

/// What of a node's time is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Billed {
    /// All of the horizon.
    Installed,
    /// The stretches in which a job holds it. Nodes come and go without delay here.
    WhileUsed,
}

/// Steps of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BillingStep {
    /// Seconds.
    Second,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Blocks of `block-hours`.
    Block,
}

/// A licence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LicenceTable {
    /// What is licensed; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<LicenceUnit>,
    /// Price of a unit for a year; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_year: Option<f64>,
    /// Price of a unit, once, written off with the hardware (owned pools).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_once: Option<f64>,
    /// Price of a unit for an hour, as clouds sell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_hour: Option<f64>,
    /// Fewest units of an order; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_units: Option<u32>,
    /// Sockets of a node, where the unit is a socket; default 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sockets_per_node: Option<u32>,
}

/// What is licensed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LicenceUnit {
    /// Nodes.
    Node,
    /// CPU sockets.
    Socket,
    /// CPUs of the node.
    Core,
    /// GPUs.
    Gpu,
}
