//! Results for people and programs: terminal table, JSON, CSV files, page, manifest.
//!
//! Everything here is a view of a [`Context`] (scenario, jobs, results); nothing is computed that could
//! change a figure. Files appear whole or not at all ([`write_whole`]). No wall time, path or thread
//! count gets into a file: the same scenario and seed give the same bytes everywhere.

mod backtest;
mod codes;
mod collect;
mod columns;
mod columns_toml;
mod coverage;
mod figures;
mod files;
mod jobs;
mod json;
mod manifest;
mod page;
#[cfg(feature = "parquet")]
mod parquet;
mod perfetto;
mod places;
mod rules;
mod sacct;
mod stats_text;
mod story;
mod sweep;
mod table;
mod translation;
mod usage;
mod verdict;
mod winners;

use crate::experiment::{DesignResult, LoadedWorkload, Sensitivity};
use crate::scenario::Scenario;

pub use backtest::{backtest_json, backtest_text};
pub use codes::{codes, meaning_of};
pub use collect::{collect_json, collect_text};
pub use columns::file_schema;
pub use columns_toml::columns_toml;
pub use coverage::{coverage_csv, coverage_json, coverage_text};
pub use files::{WriteError, cards_held, held, io_kind, try_directory, write_results, write_whole};
pub use jobs::jobs_ndjson;
pub use json::{designs_json, single_json};
pub use manifest::{Manifest, ManifestInput, outages_hash, quotes_hash, site_hash};
pub use page::page;
#[cfg(feature = "parquet")]
pub use parquet::jobs_parquet;
pub use perfetto::perfetto_json;
pub use rules::rules_toml;
pub use sacct::sacct_dump;
pub use stats_text::stats_text;
pub use story::{Story, story};
pub use sweep::{SweepReport, sweep_json, sweep_text, write_sweep};
pub use table::{plain_table, repairs_table, terminal_table};
pub use verdict::Decision;

/// What a report is about.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The scenario as it was run.
    pub scenario: &'a Scenario,
    /// The jobs.
    pub loaded: &'a LoadedWorkload,
    /// The designs in declared order.
    pub results: &'a [DesignResult],
    /// Whether the verdict holds at other speeds, where those were the catalogue's.
    pub sensitivity: Option<&'a Sensitivity>,
    /// The verdict, where the scenario has an objective.
    pub decision: Option<&'a Decision>,
}

impl<'a> Context<'a> {
    /// Whether the verdicts hold under the recorded versions of Slurm beside the one that is simulated.
    fn version_line(&self) -> Option<String> {
        let check = self.decision?.versions.as_ref()?;
        let crate::experiment::VersionCheck { version, below, above, verdicts } = check;
        let flips: Vec<String> =
            check.flips().map(|verdict| format!("{} of {}", verdict.figure, verdict.design)).collect();
        let known = format!("Slurm {version} is not recorded itself; under {below} and {above}, which are,");
        Some(if flips.is_empty() {
            format!("{known} every verdict against the baseline is the same ({} figures).", verdicts.len())
        } else {
            let (count, all) = (flips.len(), verdicts.len());
            format!("{known} {count} of {all} verdicts against the baseline flip: {}.", flips.join("; "))
        })
    }

    /// What of the Slurm site is not modelled and may matter, and what is done otherwise, each option once.
    fn not_modelled(&self) -> Vec<(&'static str, String)> {
        const SHOWN: usize = 8;
        let mut told = Vec::new();
        for (treatment, begins) in [
            ("not yet", "Not modelled of the Slurm site, and it may matter"),
            ("approximated", "Done otherwise than by Slurm"),
        ] {
            let rows = self.scenario.not_modelled.iter().filter(|gap| gap.treatment == treatment);
            let mut options: Vec<(&str, &str)> = Vec::new();
            for gap in rows {
                if !options.iter().any(|(_, why)| *why == gap.why) {
                    options.push((&gap.option, gap.why));
                }
            }
            let more = options.len().saturating_sub(SHOWN);
            let words: Vec<String> =
                options.iter().take(SHOWN).map(|(option, why)| format!("{option} ({why})")).collect();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            if !words.is_empty() {
                told.push((begins, format!("{}{more}", words.join(", "))));
            }
        }
        told
    }

    /// Columns that the trace fills and that changed nothing in this run. Recorded GPU use is in the hours where
    /// GPUs are shared; tenants and deadlines count where a design routes jobs by them, or dedicates hosts; reservations
    /// where a design has some by name, snapshots where it has stores; switches and licences where a Slurm site has them.
    fn columns_without_effect(&self) -> Vec<&'a str> {
        let shares = self.results.iter().any(|result| result.outcome.shared.is_some());
        let unused = self.loaded.workload.unused_columns.iter().map(String::as_str);
        let routes = || self.results.iter().flat_map(|result| &result.design.routes);
        let kept = || self.results.iter().flat_map(|result| &result.design.pools);
        let mut pools = self.results.iter().flat_map(|result| &result.design.cluster.pools);
        let tenants = routes().any(|route| route.tenant.is_some())
            || kept().any(|pool| pool.tenants.is_some())
            || pools.any(|pool| pool.dedicated.is_some());
        let reserved = || self.results.iter().flat_map(|result| &result.design.reservations);
        // Only Slurm's policy lets somebody into a reservation, and only such have names.
        let reservations = reserved().any(|row| row.name.is_some());
        let stores = self.results.iter().any(|result| !result.design.stores.is_empty());
        let sites = || self.results.iter().filter_map(|result| result.design.slurm.as_deref());
        let deadlines = routes().any(|route| route.deadline_within.is_some());
        unused
            .filter(|column| match *column {
                "gpu_util" => !shares,
                "tenant" => !tenants,
                "deadline_s" => !deadlines,
                "reservation" => !reservations,
                "checkpoint_gb" | "checkpoint_interval_s" => !stores,
                "switches" => !sites().any(|site| site.topology.is_some()),
                "licenses" => !sites().any(|site| !site.licences.is_empty()),
                _ => true,
            })
            .collect()
    }
}
