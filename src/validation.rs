//! Published results reproduced: what others measured or computed, beside what this crate computes.
//!
//! - [`fgd`]: placement of shared GPUs on the Alibaba openb trace (allocation, fragmentation)
//! - [`muri`]: SRTF, SRSF and Tiresias on the Muri traces and testbed
//! - [`mig`]: numbers of MIG layouts
//! - [`slurm`]: recorded experiments on real Slurm
//! - [`storage`]: snapshots on one store
//! - [`fabric`]: rates, steps, collectives and growth on networks
//! - [`failures`]: outages of a real cluster, wall time under failures, pools with standbys and spares
//! - [`theory`]: formulas with known values
//! - [`ub`]: a loaded micro cluster, per-job medians over many runs of a real controller
//! - [`document`]: all of it as VALIDATION.md
//!
//! Each check is a [`Row`]: published, ours, how far apart they may be. Data of others is read from a
//! folder beside the project ([`shared_folder`]) and is not part of it; a [`Section`] whose data is absent
//! says so and holds no rows, which is not the same as passing.
//!
//! Each source's own definitions of metrics are used, even where they differ from the rest of the crate.

pub mod case_files;
pub mod claims;
pub mod document;
pub mod fabric;
pub mod failures;
pub mod fgd;
pub mod mig;
pub mod muri;
pub mod slurm;
pub mod storage;
pub mod theory;
pub mod ub;

use std::path::PathBuf;

/// How the difference between published and ours is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Not at all: they must be equal.
    Exact,
    /// Per cent of the published value.
    Relative(f64),
    /// Units of the value (percentage points, minutes ...).
    Absolute(f64),
}

/// One figure, published and ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is a figure of.
    pub what: String,
    /// As published.
    pub published: f64,
    /// As computed here.
    pub ours: f64,
    /// How far apart they may be.
    pub tolerance: Tolerance,
    /// Decimals to print.
    pub decimals: usize,
}

impl Row {
    /// Ours minus published, in the tolerance's measure: per cent or units.
    #[must_use]
    pub fn difference(&self) -> f64 {
        match self.tolerance {
            Tolerance::Relative(_) => 100.0 * (self.ours - self.published) / self.published,
            Tolerance::Exact | Tolerance::Absolute(_) => self.ours - self.published,
        }
    }

    /// Whether that is within the tolerance. An undefined figure is not.
    #[must_use]
    pub fn within(&self) -> bool {
        let most = match self.tolerance {
            Tolerance::Exact => 0.0,
            Tolerance::Relative(most) | Tolerance::Absolute(most) => most,
        };
        self.difference().abs() <= most
    }

    /// The difference in words.
    #[must_use]
    pub fn difference_words(&self) -> String {
        // A negative zero would print as such.
        let difference = self.difference() + 0.0;
        match self.tolerance {
            Tolerance::Exact => format!("{difference:+}"),
            Tolerance::Relative(most) if most < 0.1 => format!("{difference:+.5} %"),
            Tolerance::Relative(_) => format!("{difference:+.2} %"),
            Tolerance::Absolute(_) => format!("{difference:+.2}"),
        }
    }

    /// The tolerance in words.
    #[must_use]
    pub fn tolerance_words(&self) -> String {
        match self.tolerance {
            Tolerance::Exact => "exact".to_owned(),
            Tolerance::Relative(most) => format!("{most} %"),
            Tolerance::Absolute(most) => format!("{most}"),
        }
    }
}

/// One published table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Name on the command line.
    pub name: &'static str,
    /// Headline.
    pub title: &'static str,
    /// Where the published figures come from, and how they are reproduced.
    pub about: &'static str,
    /// The figures, worst ones included.
    pub rows: Vec<Row>,
    /// What is to be known of the figures, above all of those outside their tolerance.
    pub notes: Vec<String>,
    /// Files that were looked for in vain; the section then has no rows of them.
    pub absent: Vec<PathBuf>,
}

impl Section {
    /// Rows outside their tolerance.
    pub fn outside(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.within())
    }
}

/// The folder with data of others: `$WINDTUNNEL_SHARED`, else `../shared`.
#[must_use]
pub fn shared_folder() -> PathBuf {
    std::env::var_os("WINDTUNNEL_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from)
}
