//! Options of slurm.conf that no rule here uses: why that does not matter, or that it may.
//!
//! Names are those of slurm.conf(5) of 22.05; the longest beginning that fits decides.

use super::coverage::Treatment;

const PLUMBING: &str = "plumbing: no influence on when or where jobs start";
const RUNNING: &str = "about how jobs run, not about when or where they start";
const WHO: &str = "about who may see or submit, not about when jobs start";
const AS_RECORDED: &str = "the trace holds the jobs as they were submitted, with what this made of them";

/// Beginnings of names that change no decision.
const IGNORED: &[(&str, &str)] = &[
    ("accountingstorage", PLUMBING),
    ("accountingstoreflags", PLUMBING),
    ("accountingstorejobcomment", PLUMBING),
    ("acctgather", PLUMBING),
    ("allowspecresourcesusage", AS_RECORDED),
    ("auth", PLUMBING),
    ("backup", PLUMBING),
    ("batchstarttimeout", PLUMBING),
    ("bcast", RUNNING),
    ("cachegroups", WHO),
    ("certgen", PLUMBING),
    ("certmgr", PLUMBING),
    ("checkpoint", RUNNING),
    ("clifilter", AS_RECORDED),
    ("cliparameters", PLUMBING),
    ("communicationparameters", PLUMBING),
    ("control", PLUMBING),
    ("corespecplugin", PLUMBING),
    ("cpufreq", RUNNING),
    ("cred", PLUMBING),
    ("crypto", PLUMBING),
    ("dataparser", PLUMBING),
    ("debugflags", PLUMBING),
    ("defruntimeplugin", RUNNING),
    ("disablerootjobs", WHO),
    ("eiotimeout", PLUMBING),
    ("epilog", RUNNING),
    ("extsensors", PLUMBING),
    ("fastschedule", PLUMBING),
    ("firstjobid", PLUMBING),
    ("getenvtimeout", PLUMBING),
    ("gpufreqdef", RUNNING),
    ("grestypes", "the devices are counted by Gres= of the nodes"),
    ("groupupdate", WHO),
    ("hashplugin", PLUMBING),
    ("healthcheck", "node states come from recorded events"),
    ("httpparser", PLUMBING),
    ("inactivelimit", RUNNING),
    ("interactivestepoptions", RUNNING),
    ("jobacctgather", PLUMBING),
    ("jobcomp", PLUMBING),
    ("jobcontainer", RUNNING),
    ("jobcredential", PLUMBING),
    ("jobfileappend", RUNNING),
    ("jobsubmitplugins", AS_RECORDED),
    ("keepalivetime", PLUMBING),
    ("killonbadexit", RUNNING),
    ("launch", RUNNING),
    ("log", PLUMBING),
    ("mail", PLUMBING),
    ("maxarraysize", "arrays come from the trace"),
    ("maxdbdmsgs", PLUMBING),
    ("maxjobcount", "the trace holds the jobs that were accepted"),
    ("maxjobid", PLUMBING),
    ("maxstepcount", RUNNING),
    ("maxtaskspernode", AS_RECORDED),
    ("messagetimeout", PLUMBING),
    ("metrics", PLUMBING),
    ("minjobage", PLUMBING),
    ("mpi", RUNNING),
    ("namespacetype", RUNNING),
    ("pidfile", PLUMBING),
    ("plugin", PLUMBING),
    ("plugstackconfig", PLUMBING),
    ("prepparameters", RUNNING),
    ("prepplugins", RUNNING),
    ("privatedata", WHO),
    ("proctrack", PLUMBING),
    ("prolog", RUNNING),
    ("propagate", RUNNING),
    ("reboot", PLUMBING),
    ("reconfigflags", PLUMBING),
    ("resvepilog", RUNNING),
    ("resvprolog", RUNNING),
    ("returntoservice", "node states come from recorded events"),
    ("routeplugin", PLUMBING),
    ("salloc", RUNNING),
    ("sbcast", RUNNING),
    ("schedulerport", PLUMBING),
    ("schedulerrootfilter", PLUMBING),
    ("scron", PLUMBING),
    ("serializer", PLUMBING),
    ("slurmctld", PLUMBING),
    ("slurmd", PLUMBING),
    ("slurmrestd", PLUMBING),
    ("slurmschedlog", PLUMBING),
    ("slurmstepd", RUNNING),
    ("slurmuser", PLUMBING),
    ("srun", RUNNING),
    ("state", PLUMBING),
    ("switch", RUNNING),
    ("syslog", PLUMBING),
    ("task", RUNNING),
    ("tcptimeout", PLUMBING),
    ("tls", PLUMBING),
    ("tmpfs", RUNNING),
    ("trackwckey", PLUMBING),
    ("treewidth", PLUMBING),
    ("unkillablestep", RUNNING),
    ("urlparser", PLUMBING),
    ("usepam", WHO),
    ("vsizefactor", RUNNING),
    ("waittime", RUNNING),
    ("x11parameters", RUNNING),
];

/// Beginnings of names that may change decisions.
const NOT_YET: &[(&str, &str)] = &[
    ("burstbuffer", "burst buffers are not staged"),
    ("federation", "one cluster, no federation"),
    ("hetjob", "heterogeneous jobs"),
    ("licenseparameters", "licences as in the versions before it"),
    ("maxbatchrequeue", "jobs are requeued as often as it comes"),
    ("maxnodecount", "no nodes are added while it runs"),
    ("mcs", "nodes are not kept for a label"),
    ("nodefeatures", "features do not change by rebooting"),
    ("power", "power capping"),
    ("priorityparameters", "priority plugins of a site"),
    ("prioritysitefactor", "priority plugins of a site"),
    ("requeueexit", "exit codes do not requeue or hold jobs"),
    ("resume", "power saving: nodes are always on"),
    ("schedulertimeslice", "gang scheduling"),
    ("suspend", "power saving: nodes are always on"),
    ("topology", "nodes are chosen without topology, unless topology/tree has its topology.conf"),
];

/// Values that switch nothing on: `scontrol show config` prints every option, defaults included.
const NEUTRAL: [&str; 15] = [
    "none",
    "(null)",
    "no",
    "0",
    "-1",
    "unlimited",
    "infinite",
    "n/a",
    "topology/none",
    "topology/default",
    "topology/flat",
    "mcs/none",
    "power/none",
    "burst_buffer/none",
    "site_factor/none",
];

/// What becomes of an option (its name in lower case) that no rule uses.
pub(super) fn treatment(key: &str, value: &str) -> Treatment {
    match named(key) {
        Treatment::NotYet(why) if why != UNKNOWN && NEUTRAL.iter().any(|n| value.eq_ignore_ascii_case(n)) => {
            Treatment::Ignored("says that there is none")
        }
        other => other,
    }
}

const UNKNOWN: &str = "unknown to this version";

fn named(key: &str) -> Treatment {
    if key == "enforcepartlimits" {
        return Treatment::Approximated("jobs over a partition's limits pend, as with NO");
    }
    let fits = |(name, _): &&(&str, &str)| key.starts_with(name);
    let ignored = IGNORED.iter().filter(fits).max_by_key(|(name, _)| name.len());
    let not_yet = NOT_YET.iter().filter(fits).max_by_key(|(name, _)| name.len());
    match (ignored, not_yet) {
        (Some((name, why)), other) if other.is_none_or(|(longer, _)| longer.len() < name.len()) => {
            Treatment::Ignored(why)
        }
        (_, Some((_, why))) => Treatment::NotYet(why),
        _ => Treatment::NotYet(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_decides() {
        for (key, word) in [
            ("slurmctldhost", "ignored"),
            ("suspendtime", "not yet"),
            ("statesavelocation", "ignored"),
            ("topologyplugin", "not yet"),
            ("accountingstoragetres", "ignored"),
            ("enforcepartlimits", "approximated"),
            ("frobnicate", "not yet"),
        ] {
            assert_eq!(treatment(key, "x").word(), word, "{key}");
        }
        assert_eq!(treatment("suspendtime", "(null)").word(), "ignored");
        assert_eq!(treatment("frobnicate", "0").word(), "not yet");
    }
}
