//! `[design.NAME.site.NODES]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CostTable, Dedicated};

/// Nodes of slurm.conf.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SiteTable {
    /// Kind of node, for its price and power: a name of the catalogue or of a `[node.NAME]` table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Whether a host takes jobs of one tenant at a time only; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedicated: Option<Dedicated>,
    /// How they are paid for; without it they cost nothing more, where other nodes of the design have a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostTable>,
}
