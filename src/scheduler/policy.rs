//! A policy as data: what a scenario or the command line names.

/// An order, a placement and a backfill rule.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySpec {
    /// Name for reports (`easy`, `sjf`, ...).
    pub name: String,
    /// Which job comes first.
    pub order: OrderSpec,
    /// Which node it gets.
    pub placement: PlacementSpec,
    /// What may pass a blocked head.
    pub backfill: BackfillSpec,
}

/// Queue orders; ties always by submit order (file order at equal submits).
#[derive(Clone, Debug, PartialEq)]
pub enum OrderSpec {
    /// First come, first served.
    Submit,
    /// Shortest requested limit first.
    ShortestLimit,
    /// Longest requested limit first.
    LongestLimit,
    /// Highest static priority first (trace column `priority` minus `nice`).
    Priority,
    /// Largest value of an expression first; see `scheduler::ordering` for its variables.
    Expression(String),
}

/// Which of the feasible nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacementSpec {
    /// Lowest node id.
    FirstFit,
    /// Least left over (GPUs, then CPUs, then memory), then lowest id.
    BestFit,
    /// Most left over, then lowest id.
    Spread,
    /// As few leaves of the network as can be, then least left over, then lowest id.
    Topology,
    /// Least scalar product of what is free and what is asked, as FGD's authors define it.
    DotProduct,
    /// Beside requests of the same kind (theirs).
    GpuClustering,
    /// On GPUs in use before free ones, on used nodes before free ones (theirs).
    GpuPacking,
    /// Fragmentation gradient descent (theirs).
    Fgd,
    /// Where the fewest MIG slices are stranded, then where most ways of adding an instance are left.
    MigBestFit,
}

impl PlacementSpec {
    /// Whether it looks at GPUs in parts, which only the engine for shared GPUs does.
    #[must_use]
    pub fn is_for_shared_gpus(self) -> bool {
        !matches!(self, Self::FirstFit | Self::BestFit | Self::Spread | Self::Topology)
    }
}

/// What may start while the head of the queue is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackfillSpec {
    /// Nothing: the head blocks.
    None,
    /// Whatever fits, in queue order.
    Greedy,
    /// What does not delay the head (EASY).
    Easy,
    /// What delays nobody ahead of it; the plan is rebuilt at every event, for the first `depth` jobs.
    Conservative {
        /// Jobs planned per pass; `None` = all.
        depth: Option<u32>,
    },
}

/// Names that `--policy` and `[policy.NAME]` accept, beside `expression`.
pub const CLASSIC: [&str; 7] = ["fcfs", "greedy", "sjf", "ljf", "easy", "conservative", "priority"];

impl PolicySpec {
    /// A classic policy by its exact name (first-fit placement), if it is one.
    #[must_use]
    pub fn classic(name: &str) -> Option<Self> {
        let (order, backfill) = match name {
            "fcfs" => (OrderSpec::Submit, BackfillSpec::None),
            "greedy" => (OrderSpec::Submit, BackfillSpec::Greedy),
            "sjf" => (OrderSpec::ShortestLimit, BackfillSpec::None),
            "ljf" => (OrderSpec::LongestLimit, BackfillSpec::None),
            "priority" => (OrderSpec::Priority, BackfillSpec::None),
            "easy" => (OrderSpec::Submit, BackfillSpec::Easy),
            "conservative" => (OrderSpec::Submit, BackfillSpec::Conservative { depth: None }),
            _ => return None,
        };
        Some(Self { name: name.to_owned(), order, placement: PlacementSpec::FirstFit, backfill })
    }
}
