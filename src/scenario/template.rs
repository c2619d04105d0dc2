//! The commented scenario that `windtunnel new` writes: it runs as it is, and invites changes.
//!
//! Two designs: what there is (or the smallest cluster that holds the largest job), and one node more.

use std::fmt::Write as _;

use super::catalogue::{self, NodeRow, PriceKind};
use super::file::Named;
use super::quotes::QuoteLine;

/// What the user said on the command line; the rest is decided here and explained in comments.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAnswers {
    /// Title; default after the trace.
    pub title: Option<String>,
    /// Where the jobs come from.
    pub jobs: NewJobs,
    /// Kind of node: a name of the catalogue. Default: a GPU or CPU node, by what the trace asks for.
    pub node: Option<String>,
    /// Nodes that there are. Default: as few as hold the largest job.
    pub count: Option<u32>,
    /// Policy, one of `scheduler::policy::CLASSIC`; default `easy`.
    pub policy: Option<String>,
    /// Vendors' quotes: their file, relative to the scenario, and its lines.
    pub quotes: Option<(String, Vec<QuoteLine>)>,
}

/// Where the jobs of a new scenario come from.
#[derive(Clone, Debug, PartialEq)]
pub enum NewJobs {
    /// A trace file: its path relative to the scenario, and what is in it as far as it was read.
    Trace(String, Option<TraceFacts>),
    /// A generator by name, with its parameters.
    Generate(String, Named<toml::Value>),
}

/// What of a trace decides the shape of a first scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TraceFacts {
    /// Jobs.
    pub jobs: u64,
    /// Jobs that ask for a GPU.
    pub gpu_jobs: u64,
    /// First to last submit, in whole days.
    pub days: u64,
    /// Most GPUs of one job.
    pub max_gpus: u32,
    /// Most CPUs of one job.
    pub max_cpus: u32,
}

/// Why there is no template for these answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The node is not in the catalogue.
    #[error("the catalogue has no node `{0}`; `windtunnel catalog` lists them")]
    UnknownNode(String),
    /// The policy has another name.
    #[error("there is no policy `{0}`")]
    UnknownPolicy(String),
    /// A quote sells no node that is known.
    #[error(
        "no line of the quote `{0}` is a node or a GPU of the catalogue: write the name of one as its `what` (`windtunnel \
         catalog nodes`)"
    )]
    QuoteWithoutNode(String),
}

/// The design that stands already.
const CURRENT: &str = "current";

/// A text in TOML's quotes.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The commented scenario as TOML.
///
/// # Errors
/// [`TemplateError`] where an answer names what there is not.
pub fn template(answers: &NewAnswers) -> Result<String, TemplateError> {
    let facts = match &answers.jobs {
        NewJobs::Trace(_, facts) => *facts,
        NewJobs::Generate(..) => None,
    };
    let wants_gpus = facts.is_none_or(|facts| facts.gpu_jobs > 0);
    let name = answers.node.as_deref().unwrap_or(if wants_gpus { "dgx-h100" } else { "cpu-128" });
    let node = catalogue::node(name).ok_or_else(|| TemplateError::UnknownNode(name.to_owned()))?;
    let policy = answers.policy.as_deref().unwrap_or("easy");
    if !crate::scheduler::policy::CLASSIC.contains(&policy) {
        return Err(TemplateError::UnknownPolicy(policy.to_owned()));
    }
    let count = answers.count.unwrap_or_else(|| smallest(node, facts)).max(1);

    let mut out = String::from(
        "# A Windtunnel scenario. Run it with:  windtunnel compare THIS-FILE\n\
         # Every setting can also be given on the command line:  --set design.now.pool.main.count=3\n\n",
    );
    let title = answers.title.clone().unwrap_or_else(|| "Would one more node help?".to_owned());
    put(&mut out, format_args!("title = {}\n\n", quoted(&title)));
    workload(&mut out, &answers.jobs);
    put(&mut out, format_args!("# How jobs are scheduled: {}.\n", catalogue_of_policies()));
    put(
        &mut out,
        format_args!("[policy.{policy}]\nplacement = \"first-fit\"    # or \"best-fit\", \"spread\"\n\n"),
    );
    put(&mut out, format_args!("# The node `{name}` has {}.\n", describe(node)));
    out.push_str("# `windtunnel catalog` lists the others; a [node.NAME] table here defines your own.\n\n");
    match &answers.quotes {
        None => {
            design(&mut out, "now", &format!("{count} x {name}"), node, count);
            design(&mut out, "one-more", &format!("{} x {name}", count + 1), node, count + 1);
            out.push_str(
                "[compare]\nbaseline = \"now\"            # the other designs are measured against this one\n",
            );
        }
        Some((path, lines)) => {
            design(&mut out, CURRENT, &format!("Current: {count} x {name}"), node, count);
            quoted_designs(&mut out, path, lines)?;
        }
    }
    Ok(out)
}

/// A design for every quote, the objective and the plan.
fn quoted_designs(out: &mut String, path: &str, lines: &[QuoteLine]) -> Result<(), TemplateError> {
    let mut quotes: Vec<&str> = Vec::new();
    for line in lines {
        if !quotes.contains(&line.quote.as_str()) {
            quotes.push(&line.quote);
        }
    }
    for quote in quotes {
        let pools: Vec<(&NodeRow, u32)> = lines
            .iter()
            .filter(|line| line.quote == quote)
            .filter_map(|line| {
                let of_gpu = |row: &&NodeRow| row.gpu.as_deref() == Some(line.what.as_str());
                match catalogue::node(&line.what) {
                    Some(node) => Some((node, line.count)),
                    None => catalogue::nodes().iter().find(of_gpu).map(|n| (n, line.count.div_ceil(n.gpus))),
                }
            })
            .collect();
        if pools.is_empty() {
            return Err(TemplateError::QuoteWithoutNode(quote.to_owned()));
        }
        let name: String =
            quote.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
        let name = name.trim_matches('-').to_ascii_lowercase();
        let label: Vec<String> =
            pools.iter().map(|(node, count)| format!("{count} x {}", node.node)).collect();
        put(
            out,
            format_args!(
                "# Prices, payment and delivery dates come from the lines of the quote.\n[design.{name}]\nlabel = {}\n\
                 quote = {}\n# migration-cost = 10000     # what moving there costs, once\n",
                quoted(&format!("{quote}: {}", label.join(" + "))),
                quoted(quote),
            ),
        );
        for (at, (node, count)) in pools.iter().enumerate() {
            let pool = if at == 0 { "main".to_owned() } else { format!("more-{at}") };
            put(
                out,
                format_args!("[design.{name}.pool.{pool}]\nnode = {}\ncount = {count}\n", quoted(&node.node)),
            );
        }
        out.push('\n');
    }
    put(
        out,
        format_args!(
            "# What must hold, and what then decides; `windtunnel compare` gives the verdict.\n[objective]\n\
             require = [\"wait_s.p95 <= 14_400\"]\nminimize = \"cost.total\"\n\n\
             # The plan that money is judged over.\n[finance]\nquotes = {}\nyears = 5\ngrowth = 0.2               # of the \
             load, per year\ndiscount-rate = 0.05\n",
            quoted(path)
        ),
    );
    Ok(())
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String does not fail");
}

fn catalogue_of_policies() -> String {
    crate::scheduler::policy::CLASSIC.join(", ")
}

/// As few nodes as hold the largest job.
fn smallest(node: &NodeRow, facts: Option<TraceFacts>) -> u32 {
    let facts = facts.unwrap_or_default();
    let for_gpus = if node.gpus > 0 { facts.max_gpus.div_ceil(node.gpus) } else { 0 };
    for_gpus.max(facts.max_cpus.div_ceil(node.cpus)).max(1)
}

fn workload(out: &mut String, jobs: &NewJobs) {
    match jobs {
        NewJobs::Trace(path, facts) => {
            if let Some(facts) = facts {
                put(
                    out,
                    format_args!(
                        "# {} jobs in {} days, {} of them with GPUs; the largest asks for {} GPUs and {} CPUs.\n",
                        facts.jobs, facts.days, facts.gpu_jobs, facts.max_gpus, facts.max_cpus
                    ),
                );
            }
            put(out, format_args!("[workload]\ntrace = {}    # relative to this file\n", quoted(path)));
            workload_options(out);
            out.push('\n');
        }
        NewJobs::Generate(model, parameters) => {
            out.push_str("[workload]\n");
            workload_options(out);
            put(out, format_args!("\n[workload.generate.{model}]\n"));
            for (key, value) in parameters {
                put(out, format_args!("{key} = {value}\n"));
            }
            out.push('\n');
        }
    }
}

fn workload_options(out: &mut String) {
    out.push_str(
        "seed = 1                      # of everything random\n\
         # scale = { arrivals = 1.4 }  # the same jobs at a rate 40 % higher\n\
         # window = { until-s = 604800 }    # only the first week\n",
    );
}

fn describe(node: &NodeRow) -> String {
    let mut text = format!("{} CPUs, {} MiB of memory", node.cpus, node.mem_mb);
    if let Some(gpu) = &node.gpu {
        put(&mut text, format_args!(", {} x {gpu}", node.gpus));
    }
    text
}

fn design(out: &mut String, name: &str, label: &str, node: &NodeRow, count: u32) {
    put(
        out,
        format_args!(
            "[design.{name}]\nlabel = {}\n[design.{name}.pool.main]\nnode = {}\ncount = {count}\n\
             [design.{name}.pool.main.tenancy.bare-metal]\n",
            quoted(label),
            quoted(&node.node)
        ),
    );
    cost(out, name, node);
    out.push('\n');
}

/// The cost that the catalogue has for the node: bought if it has a price, else rented, else a comment.
fn cost(out: &mut String, design: &str, node: &NodeRow) {
    let table = format!("design.{design}.pool.main.cost");
    if design == CURRENT {
        put(
            out,
            format_args!(
                "[{table}.owned]\nprice-per-node = 0            # paid for already; else what it cost\n\
                 # staff-fte = 0.5             # what else it costs: colocation-per-kw-month, support-share, ...\n"
            ),
        );
        return;
    }
    let years = catalogue::figure(PriceKind::Depreciation);
    if let Some(price) = catalogue::owned_node(&node.node) {
        put(
            out,
            format_args!(
                "[{table}.owned]               # or .rented\n\
                 price-per-node = {}    # {}: from {} to {} plausible, write your quote\n\
                 depreciation-years = {}\n",
                price.typical, price.unit, price.low, price.high, years.typical
            ),
        );
    } else if let Some(price) = node.gpu.as_deref().and_then(catalogue::rented_gpu) {
        put(
            out,
            format_args!(
                "[{table}.rented]              # or .owned with a price-per-node\n\
                 price-per-gpu-hour = {}    # {}: from {} to {} plausible, write your quote\n",
                price.typical, price.unit, price.low, price.high
            ),
        );
    } else {
        put(
            out,
            format_args!(
                "# The catalogue has no price for this node. With yours there are cost figures:\n\
                 # [{table}.owned]\n# price-per-node = 10000\n"
            ),
        );
    }
}
