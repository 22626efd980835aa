//! The policies from outside: the engine contract as a property, the published tables, and behaviour computed by hand.

mod adapter;
mod answers;
mod budget;
mod by_hand;
mod conformance;
mod contract;
mod lane_bounds;
mod provider;
mod settings;
mod support;
mod traffic;
