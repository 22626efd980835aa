//! The search, against problems whose best settings are known.
//!
//! `docs/TUNING.md` has what the heavy ones measured, and the command that measures it again.

mod behaviour;
mod chooses_well;
mod coverage;
mod problems;
