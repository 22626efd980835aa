//! Plimsoll simulates and tunes the policies that keep an LLM service alive under overload.
//!
//! A ship's load line shows how much it may carry before it is unsafe. Plimsoll finds that line for an LLM service: it
//! runs the overload policies of a gateway ([`policy`]) against a model of the server behind it ([`upstream`]) and of the
//! clients in front of it ([`workload`]), and says with confidence intervals what came of it. `docs/ARCHITECTURE.md` shows
//! the house; each room's own page says what lives there.

pub mod calibrate;
pub mod cli;
pub mod dist;
pub mod fifo;
pub mod files;
pub mod heap;
pub mod journal;
pub mod latency;
pub mod live;
pub mod policy;
pub mod replay;
pub mod report;
pub mod request;
pub mod rng;
pub mod scenario;
pub mod sim;
pub mod stats;
pub mod time;
pub mod trace;
pub mod tune;
pub mod units;
pub mod upstream;
pub mod workload;
