//! What happens to nodes of a design at instants that are written: down, drained, reserved.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nodes that are out of order from one instant to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EventTable {
    /// Nodes as Slurm lists them: `main0`, `main[0-3,7]`; the nodes of a pool are its name and a number from 0.
    pub nodes: String,
    /// Begin, in seconds after the first submission.
    pub from_s: f64,
    /// End, in seconds after the first submission.
    pub until_s: f64,
    /// What becomes of the jobs there.
    pub kind: EventKind,
}

/// What becomes of the jobs on nodes that go out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// They are lost, and queued again.
    Down,
    /// They run to their end; nothing new starts.
    Drain,
}

/// Nodes that are kept free from one instant to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReservationTable {
    /// Name by which jobs ask for it (column `reservation`); needed where somebody may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Nodes as Slurm lists them: `main0`, `main[0-3,7]`; the nodes of a pool are its name and a number from 0.
    pub nodes: String,
    /// Begin, in seconds after the first submission.
    pub from_s: f64,
    /// End, in seconds after the first submission.
    pub until_s: f64,
    /// Users who may use it, under Slurm's policy; default nobody, or all of `accounts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<String>>,
    /// Accounts that may use it, under Slurm's policy; default nobody, or all of `users`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<String>>,
}
