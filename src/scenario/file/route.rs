//! Which jobs go to which pools of a design.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Jobs that meet every condition run in these pools only; the first rule that matches counts, and jobs that
/// match none may run in every pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RouteTable {
    /// Class, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// User, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Account, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Tenant, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Partition, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// QOS, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// At least so many GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus_min: Option<u64>,
    /// At most so many GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus_max: Option<u64>,
    /// Limit at least, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_min_s: Option<f64>,
    /// Limit at most, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_max_s: Option<f64>,
    /// Has a deadline, at most so many seconds after its submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_within_s: Option<f64>,
    /// The jobs must stay on pools that are kept for named tenants; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub single_tenant_only: Option<bool>,
    /// Pools of the design where the jobs may run.
    pub pools: Vec<String>,
    /// Pools where they may run as well if their wait is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spill: Option<Vec<String>>,
    /// The wait in seconds that is too long, estimated at submission or waited; default 3600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spill_after_s: Option<f64>,
}
