//! The `[finance]` and `[objective]` tables: the plan that a purchase is judged over, and what is asked of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The plan that designs are judged over: years, growth, interest, the price of waiting, quotes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FinanceTable {
    /// Length of the plan in years; default: the depreciation of the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub years: Option<f64>,
    /// Growth of the demand per year (0.4 = 40 % more arrivals); default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth: Option<f64>,
    /// Rate per year at which later money counts less; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount_rate: Option<f64>,
    /// Price of an hour that a GPU is waited for; it stands beside the cost, not in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_price_per_gpu_hour: Option<f64>,
    /// Price of an hour that a job is waited for: that of a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_price_per_job_hour: Option<f64>,
    /// Line items of vendors' quotes (CSV), relative to the scenario file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quotes: Option<String>,
    /// First month of the plan, YYYY-MM; default the month of the first payment in the quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
}

/// What a design must do, and what then decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ObjectiveTable {
    /// Conditions on figures of the results, all of which must hold: `"wait_s.p95 <= 3600"`,
    /// `"utilization.gpu_allocated >= 0.5"`, `"cost.per_month <= 90000"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<String>,
    /// Figure that is to be smallest among the designs that meet them; default cost.total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimize: Option<String>,
}
