//! The simulator: workload -> gateway -> upstream -> journal, one replication at a time, many in parallel.

mod area;
mod guard;
mod hints;
mod load;
mod metered;
mod observed;
mod plan;
mod prepare;
mod record;
mod runner;
mod watch;
mod world;

pub use guard::{AT_ONCE_MAX, UNDER_WAY_MAX};
pub use load::{Capacity, measure};
pub use observed::Observed;
pub use plan::Plan;
pub use prepare::{
    Given, Prepared, inspect, inspect_given, inspect_model, not_validated, parts, prepare, prepare_given, replan,
};
pub use runner::{run, run_all, run_from};
pub use world::{World, speed};
