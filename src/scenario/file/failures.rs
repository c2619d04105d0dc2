//! Hosts that fail: how often, at which level, how they are repaired.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Hosts that fail, each for itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FailuresTable {
    /// Mean hours that a host is up, whatever fails; default from the catalogue, by its number of GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtbf_hours: Option<f64>,
    /// Failures of single GPUs, by their number; with one level written, the others fail only if they are written too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<FailureLevelTable>,
    /// Failures of hosts themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<FailureLevelTable>,
    /// Failures of a host's link or adapter to the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<FailureLevelTable>,
    /// Failures of a host's software.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software: Option<FailureLevelTable>,
    /// Failures of the switch that hosts hang on, which take all of the pool's hosts below along; `mtbf-hours` is needed, and
    /// a `fabric` of the pool. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<FailureLevelTable>,
    /// The same of the switches above those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spine: Option<FailureLevelTable>,
    /// Mean number of hosts that fail at once where one fails by itself (1.37 measured); default: it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_mean: Option<f64>,
    /// Shape of a gamma factor on the rate of all hosts, drawn anew for each month, with mean 1 (2.0 measured); default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wave_shape: Option<f64>,
    /// Shape of a Weibull law of the time that hosts are up; default 1: a failure is as likely at any age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weibull_shape: Option<f64>,
    /// Shape of a gamma factor on the rate of each host, with mean 1 (0.93 measured); default: all fail alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_shape: Option<f64>,
    /// Share of the hosts that are bad; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_share: Option<f64>,
    /// How many times as often as the others they fail; needed with `bad-share`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_factor: Option<f64>,
    /// From a failure to the host's next job; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<RepairTable>,
    /// Whether the jobs that were on it are queued again, until they were lost a thousand times without getting on;
    /// default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requeue: Option<bool>,
}

/// Failures of one level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FailureLevelTable {
    /// Mean hours between failures, of a GPU for `gpu`, of a switch for `leaf` and `spine`, else of a host; default from the
    /// catalogue, which has none for switches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtbf_hours: Option<f64>,
    /// Its own repair; default that of `failures`, a restart for `software`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<RepairTable>,
}

/// How long a host is away: log-normal, triangular, or in two stages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RepairTable {
    /// Log-normal: hours in which half of the repairs are done; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_hours: Option<f64>,
    /// Log-normal: standard deviation of the logarithm; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// Triangular: shortest, in seconds; default the most likely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_s: Option<f64>,
    /// Triangular: most likely, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typical_s: Option<f64>,
    /// Triangular: longest, in seconds; default the most likely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_s: Option<f64>,
    /// By a program first, and by people if that does not do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages: Option<RepairStagesTable>,
}

/// A repair in two stages; both are exponential.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RepairStagesTable {
    /// Mean hours of the first stage; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_hours: Option<f64>,
    /// Mean hours of the second stage; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_hours: Option<f64>,
    /// Share of the failures that need the second stage; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalates: Option<f64>,
    /// Share of the repairs by the first stage alone after which a bad host is still bad; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_fails: Option<f64>,
    /// Share of the repairs by both stages after which a bad host is still bad; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_fails: Option<f64>,
}
