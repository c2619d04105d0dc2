//! Cells of the composition matrix: a policy, a sharing of GPUs, a tenancy, a life of hosts and a feature of jobs, as a
//! scenario with a small trace, run in this process.

use windtunnel::cluster::{Referee, cards::referee};
use windtunnel::experiment::{load_workload, run_design};
use windtunnel::kernel::Budget;
use windtunnel::report;
use windtunnel::scenario::{Scenario, load_text};
use windtunnel::simulation::{Outcome, RunOptions};
use windtunnel::workload::Workload;

use super::terminal::Desk;

/// No cell of these traces needs more events; one that does goes in circles.
const MOST_EVENTS: u64 = 2_000_000;

/// Half of the GPUs cut into sevenths, half whole.
const LAYOUTS: &str = "mig-layouts = [{ gpus = 4, instances = ['1g.10gb', '1g.10gb', '1g.10gb', '1g.10gb', '1g.10gb', \
                       '1g.10gb', '1g.10gb'] }, { gpus = 4, instances = ['whole'] }]\n";

/// GPUs of a job by its place in the trace: most have one, so that pools of small devices hold most of them.
pub fn gpus_of(at: usize) -> usize {
    match at % 16 {
        7 => 8,
        2 | 10 => 2,
        _ => 1,
    }
}

/// The axes of a cell, each by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub policy: &'static str,
    pub sharing: &'static str,
    pub tenancy: &'static str,
    pub life: &'static str,
    pub feature: &'static str,
}

pub const POLICIES: [&str; 7] = ["fcfs", "easy", "conservative", "priority", "slurm", "srtf", "tiresias"];
pub const SHARINGS: [&str; 6] = ["whole", "mig-static", "mig-dynamic", "mig-planned", "mps", "time-slices"];
pub const TENANCIES: [&str; 6] = ["bare-metal", "containers", "vm-pass", "vm-full", "vm-ts", "vm-mig"];
pub const LIVES: [&str; 10] = [
    "none",
    "failures",
    "maintenance",
    "snapshots",
    "elastic",
    "noise",
    "contention",
    "network",
    "store",
    "spares",
];
pub const FEATURES: [&str; 9] =
    ["plain", "parts", "after", "afterany", "singleton", "array", "begin", "cancel", "requeue"];

/// What a run of a cell gives.
pub struct Played {
    pub scenario: Scenario,
    pub workload: Workload,
    pub outcome: Outcome,
}

impl Cell {
    /// Whether such GPUs exist under such a tenancy, and such a life of hosts.
    pub fn is_sensible(self) -> bool {
        let shared = match self.tenancy {
            "bare-metal" | "containers" | "vm-pass" => true,
            "vm-full" => self.sharing == "whole",
            "vm-ts" => self.sharing == "time-slices",
            _ => self.sharing == "mig-static",
        };
        let lives = match self.life {
            "elastic" => self.tenancy.starts_with("vm"),
            "noise" => self.tenancy != "bare-metal",
            _ => true,
        };
        let replans = self.sharing == "mig-planned" && matches!(self.policy, "srtf" | "tiresias");
        shared && lives && !replans
    }

    /// The trace: bursts of jobs of 1, 2 and 8 GPUs on 2 nodes; on a network and whole GPUs those of 8 take both nodes.
    pub fn trace(self) -> String {
        let mut text =
            "job_id,submit_s,run_s,limit_s,user,name,nodes,cpus,gpus,gpu_milli,class,after,array,begin_s,cancel_s,\
                        requeue\n"
                .to_owned();
        for at in 1..=24 {
            let burst = at / 8;
            let submit = burst * 4_000 + at * 30;
            let gpus = gpus_of(at);
            let run = [900, 2_400, 300, 5_400, 1_200][at % 5];
            // One of five is killed at its limit, where jobs are.
            let limit = if at % 5 == 0 { run / 2 } else { run * 3 / 2 };
            let parts = self.feature == "parts" || matches!(self.sharing, "mps" | "time-slices");
            let milli = if parts && gpus == 1 { "250" } else { "" };
            let class = ["training", "debug"][at % 2];
            let (before, fourth) = (at - 1, at % 4 == 2);
            let after = match self.feature {
                "after" if fourth => format!("after:{before}"),
                "afterany" if fourth => format!("afterany:{before}"),
                "singleton" if fourth => "singleton".to_owned(),
                _ => String::new(),
            };
            let array = if self.feature == "array" && at % 6 == 3 { "0-3%2" } else { "" };
            let begin = if self.feature == "begin" && at % 5 == 0 {
                (submit + 2_000).to_string()
            } else {
                String::new()
            };
            let cancel =
                if self.feature == "cancel" && fourth { (submit + 150).to_string() } else { String::new() };
            let requeue = if self.feature == "requeue" && at % 2 == 0 { "no" } else { "" };
            let name = ["a", "b"][at % 2];
            let cpus = 4 * gpus;
            let nodes = if self.is_spread() && gpus == 8 { 2 } else { 1 };
            text += &format!(
                "{at},{submit},{run},{limit},u,{name},{nodes},{cpus},{gpus},{milli},{class},{after},{array},{begin},{cancel},\
                 {requeue}\n"
            );
        }
        text
    }

    /// Whether jobs of 8 GPUs take two nodes, so that they feel the network.
    pub fn is_spread(self) -> bool {
        self.life == "network" && self.sharing == "whole"
    }

    /// The settings of a pool.
    pub fn pool(self, at: &str) -> String {
        let (kind, access) = match self.tenancy {
            "vm-pass" => ("vm", "access = 'passthrough'\n"),
            "vm-full" => ("vm", "access = 'vgpu-full'\n"),
            "vm-ts" => ("vm", "access = 'vgpu-time-sliced'\n"),
            "vm-mig" => ("vm", "access = 'vgpu-mig'\n"),
            kind => (kind, ""),
        };
        let mut text = format!("[{at}.tenancy.{kind}]\n{access}");
        if kind != "bare-metal" && self.life != "contention" {
            text += "contention = 'off'\n";
        }
        text += &match (self.tenancy, self.sharing) {
            ("vm-ts", _) => "vgpus-per-gpu = 4\n".to_owned(),
            ("vm-mig", _) => LAYOUTS.to_owned(),
            (_, "mig-static") => format!("mig = 'static'\n{LAYOUTS}"),
            (_, "mig-dynamic") => "mig = 'dynamic'\n".to_owned(),
            (_, "mig-planned") => "mig = 'planned'\n".to_owned(),
            (_, "mps") => "sharing = 'mps'\n".to_owned(),
            (_, "time-slices") => "sharing = 'time-slices'\n".to_owned(),
            _ => String::new(),
        };
        if self.feature == "afterany" && self.policy != "slurm" {
            text += "at-limit = 'kill'\n";
        }
        let repair = "repair = { low-s = 300, typical-s = 600, high-s = 900 }";
        text += match self.life {
            "maintenance" => "maintenance = { every-days = 0.5, hours = 1 }\n",
            "snapshots" => "snapshots = { every-s = 300, takes-s = 5, restore-s = 10 }\n",
            "elastic" => "elastic = { min = 1, in-after-s = 300 }\n",
            "noise" => "noise = { cv = 0.1, busy-share = 0.3, dwell-s = 600 }\n",
            "contention" => "contention = 'high'\n",
            "store" => "snapshots = { every-s = 300, store = 's', mode = 'async' }\n",
            _ => "",
        };
        if ["failures", "spares"].contains(&self.life) || self.feature == "requeue" {
            text += &format!("failures = {{ mtbf-hours = 4, {repair} }}\n");
        }
        text
    }

    /// The scenario; `more` stands behind it.
    pub fn text(self, more: &str) -> String {
        let policy = match self.policy {
            "srtf" | "tiresias" => format!("[policy.{}]\ncharge = 'restart'\n", self.policy),
            "slurm" => "[policy.slurm]\nbf_interval = 30\n".to_owned(),
            policy => format!("[policy.{policy}]\n"),
        };
        let pool = self.pool("design.d.pool.main");
        let (design, keys) = match self.life {
            "network" => ("[design.d.fabric.n]\ntopology = 'single'\nnic = 'TCP-100G'\n", "fabric = 'n'\n"),
            "store" => ("[design.d.store.s]\nwrite-gb-s = 0.5\nread-gb-s = 0.5\n", ""),
            "spares" => ("", "spares = { standby = 1 }\n"),
            _ => ("", ""),
        };
        let count = if self.life == "spares" { 3 } else { 2 };
        format!(
            "[workload]\ntrace = 't.csv'\n{policy}{design}[design.d.pool.main]\nnode = 'dgx-h100'\ncount = {count}\n\
             {keys}{pool}{more}"
        )
    }

    /// Runs it: `Err` holds the refusals of the loader.
    pub fn play(self) -> Result<Played, Refusals> {
        self.play_text(&self.text(""), &self.trace())
    }

    /// The same with another scenario and trace.
    pub fn play_text(self, text: &str, trace: &str) -> Result<Played, Refusals> {
        let desk = Desk::new();
        desk.put("t.csv", trace);
        let scenario = load_text("cell.toml", text.to_owned(), &desk.path(""), &[]).map_err(|problems| {
            problems
                .kept()
                .iter()
                .map(|p| (p.code.0.to_owned(), format!("{:?}", p.place), p.message.clone()))
                .collect::<Refusals>()
        })?;
        let loaded =
            load_workload(&scenario.workload, false).unwrap_or_else(|p| panic!("{self:?}: {:?}", p.kept()));
        let budget = Budget { events: MOST_EVENTS, ..Budget::default() };
        let options = RunOptions { keep_allocations: true, budget, ..RunOptions::default() };
        let outcome = run_design(&loaded.workload, &scenario.designs[0], &scenario.policy, &options)
            .unwrap_or_else(|error| panic!("{self:?}: {error}"));
        Ok(Played { scenario, workload: loaded.workload, outcome })
    }
}

/// Refusals of the loader: code, place, message.
pub type Refusals = Vec<(String, String, String)>;

impl Played {
    /// The independent referee is content, and hours sum.
    pub fn check(&self, cell: Cell) {
        let design = &self.scenario.designs[0];
        for pool in self.outcome.hours.pools.iter() {
            assert!(pool.check(), "{cell:?}: hours do not sum: {pool:?}");
            for hours in [&pool.gpu, &pool.cpu] {
                let parts =
                    [hours.productive, hours.virtualization, hours.neighbours, hours.slack, hours.lost];
                assert!(parts.iter().all(|part| *part >= 0), "{cell:?}: {hours:?}");
            }
        }
        if let Some(held) = report::cards_held(&self.workload, &self.outcome) {
            referee::check(&design.cluster, &design.sharing.cards, &held)
                .unwrap_or_else(|violation| panic!("{cell:?}: {violation}"));
        } else {
            let held = report::held(&self.workload, &self.outcome);
            Referee::check(&design.cluster, &held)
                .unwrap_or_else(|violation| panic!("{cell:?}: {violation}"));
        }
    }
}
