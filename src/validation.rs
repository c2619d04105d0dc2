//! Published results and recordings reproduced, side by side with this program's own.
//!
//! [`slurm`] runs the recorded experiments on real Slurm again and compares distributions, schedules and
//! single decisions.

pub mod slurm;
