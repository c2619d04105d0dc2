//! Networks between nodes: who shares which link, and what that costs.
//!
//! - [`rates`]: weighted max-min rates with caps, by progressive filling
//! - [`flows`]: transfers from start to end with such rates
//! - [`contention`]: what jobs on common links do to each other's iterations
//! - [`shares`]: the same, kept up to date as jobs start and end
//! - [`graph`], [`builders`]: a network from parameters, cables or switches by name; its links have the numbers that the above take
//! - [`outline`]: what a network is made of, in numbers
//! - [`traffic`]: what a job's collectives put on links, for the nodes that it has
//!
//! Links are numbers with a capacity in bytes per second, one for each direction. This room knows no jobs, queues or
//! scenarios: whoever runs a job says what it sends over which link.
//!
//! Given up: messages. A transfer is a rate on links; there is no incast, loss, adaptive routing or collapse.

pub mod builders;
pub mod collectives;
pub mod contention;
pub mod flows;
pub mod graph;
mod irregular;
pub mod outline;
pub mod rates;
pub mod routes;
pub mod shares;
pub mod steps;
mod switches;
pub mod traffic;
