//! Search: which settings are best, and how sure that is.
//!
//! The methods see an abstract [`Problem`]: something that can be run for a candidate and gives objectives and constraints.
mod domain;
mod evaluator;
mod problem;
mod sampling;
mod setting;
mod space;

pub use domain::{Domain, Scale};
pub use evaluator::{Evaluator, Finished, Id, Job, Spent, Stopped};
pub use problem::{CONFIRMATION_FROM, Observation, Problem, SELECTION_FROM, SENSITIVITY_FROM};
pub use sampling::{SOBOL_POINTS_MAX, sobol, sobol_points};
pub use setting::{Point, Setting};
pub use space::{Condition, DIMENSIONS_MAX, Parameter, Space, SpaceFault};
