//! What to export from a Slurm site: read-only commands, and what is lost without each.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::workload::read::sacct;

/// One export.
struct Export {
    /// File that it goes to.
    file: &'static str,
    command: &'static str,
    /// What uses it.
    gives: &'static str,
    /// What is lost when it is missing.
    lost: &'static str,
}

const EXPORTS: [Export; 11] = [
    Export {
        file: "sacct.txt",
        command: sacct::COMMAND,
        gives: "the trace: every job with requests, allocations, times, GPU use (trace check, replay, backtest)",
        lost: "everything: there is no trace. Without -a only your own jobs, without -D only the last attempt of \
               requeued jobs, without ReqTRES what was asked for, without TRESUsage* the GPU use",
    },
    Export {
        file: "events.txt",
        command: "sacctmgr -P show event start=FROM end=TO format=NodeName,TimeStart,TimeEnd,State,Reason",
        gives: "nodes down or drained (backtest --events)",
        lost: "the machine is always whole: simulated waits are too short after failures and during maintenance",
    },
    Export {
        file: "reservations.txt",
        command: "sacctmgr -P show reservation start=FROM end=TO format=Name,Start,End,NodeNames",
        gives: "reservations, past ones too (backtest --reservations; `scontrol show reservation` has the present ones)",
        lost: "maintenance and reserved nodes are given to jobs",
    },
    Export {
        file: "sshare.txt",
        command: "sshare -alP",
        gives: "fair-share usage at the start (backtest --sshare)",
        lost: "every account starts without a past: the first days of a fair-share order are wrong",
    },
    Export {
        file: "assoc.txt",
        command: "sacctmgr -P show assoc",
        gives: "accounts, shares and their limits (import slurm --assoc)",
        lost: "limits and shares of users and accounts: jobs that waited for a limit start at once",
    },
    Export {
        file: "qos.txt",
        command: "sacctmgr -P show qos",
        gives: "QOS: priorities, limits, preemption (import slurm --assoc)",
        lost: "all QOS are alike, nothing preempts",
    },
    Export {
        file: "config.txt",
        command: "scontrol show config",
        gives: "what slurmctld runs with, defaults and its version included: config.txt, nodes.txt and partitions.txt in one file \
                are a slurm.conf (cat config.txt nodes.txt partitions.txt > site.txt; import slurm --slurm-conf site.txt)",
        lost: "defaults of your version of Slurm are guessed",
    },
    Export {
        file: "nodes.txt",
        command: "scontrol show node -o",
        gives: "GPU type, CPUs and memory by node (--node-list)",
        lost: "the GPU type that a job ran on, where the TRES are not typed",
    },
    Export {
        file: "partitions.txt",
        command: "scontrol show partition -o",
        gives: "partitions as they are now: nodes, limits, tiers, who may use them",
        lost: "changes that were made with scontrol and stand in no file",
    },
    Export {
        file: "slurm.conf",
        command: "cat \"$(scontrol show config | awk '$1 == \"SLURM_CONF\" {print $3}')\"",
        gives: "the configuration with its scheduler parameters (import slurm --slurm-conf); Include files too",
        lost: "the policy: priorities, backfill parameters, partitions",
    },
    Export {
        file: "gres.conf",
        command: "cat \"$(dirname \"$(scontrol show config | awk '$1 == \"SLURM_CONF\" {print $3}')\")/gres.conf\"",
        gives: "GPUs of the nodes (import slurm --gres-conf); topology.conf likewise, if there is one",
        lost: "GPU types and cores beside each GPU",
    },
];

/// Before all: how times are printed.
const TIMES: &str = "export SLURM_TIME_FORMAT=%s";

/// The exports as an object.
#[must_use]
pub fn collect_json() -> Value {
    let rows: Vec<Value> = EXPORTS
        .iter()
        .map(|export| {
            json!({
                "file": export.file,
                "command": export.command,
                "gives": export.gives,
                "lost_without": export.lost,
            })
        })
        .collect();
    json!({ "first": TIMES, "exports": rows })
}

/// The exports as a shell script with remarks.
#[must_use]
pub fn collect_text() -> String {
    let mut text = String::from(
        "# Read-only commands that export what Windtunnel can use of a Slurm site. Put dates for FROM and TO\n\
         # (2024-03-01); begin some weeks before the window that you want judged. Seconds since 1970 instead of\n\
         # local times, so that no hour of a clock change is lost:\n",
    );
    text.push_str(TIMES);
    text.push('\n');
    for export in &EXPORTS {
        writeln!(text, "\n# {}", export.gives).expect("writing to a text works");
        writeln!(text, "# missing: {}", export.lost).expect("writing to a text works");
        writeln!(text, "{} > {}", export.command, export.file).expect("writing to a text works");
    }
    text.push_str(
        "\n# Then: windtunnel trace check sacct.txt --node-list nodes.txt\n\
         # To pass the trace on without names: windtunnel trace anonymize sacct.txt --salt SECRET --out jobs.csv\n",
    );
    text
}
