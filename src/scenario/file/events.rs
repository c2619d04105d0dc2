//! What happens to nodes of a design at instants that are written: down, drained, reserved.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nodes that are out of order from one instant to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EventTable {
    /// Nodes as Slurm lists them: `main0`, `main[0-3,7]`; the nodes of a pool are its name and a number from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<String>,
    /// In place of `nodes`: a link of a fabric, by its two ends as `windtunnel catalog fabric --dot` names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<[String; 2]>,
    /// In place of `nodes`: a switch of a fabric, all of whose links fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch: Option<String>,
    /// The fabric of the link or switch, where the design has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fabric: Option<String>,
    /// Cables of the link that fail, where there are several; default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cables: Option<u32>,
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
    /// They are lost, and queued again; of a link or switch, those on nodes that are cut off by it.
    Down,
    /// They run to their end; nothing new starts. Not for links and switches.
    Drain,
    /// Those without a way left stand still until it is over. Only for links and switches.
    Wait,
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
    /// Licences that it keeps from others, under Slurm's policy: `solver:2,viz`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licenses: Option<String>,
}
