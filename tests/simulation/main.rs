//! The simulator as a whole: against closed forms, on random scenarios, bit by bit, and against a measured server.

mod audit;
mod closed_forms;
mod common;
mod conservation;
mod departed;
mod determinism;
mod field;
mod metered;
mod random;
mod real_run;
mod sealed;
mod watched;
