//! The policies from outside: the engine contract as a property, the published tables, and behaviour computed by hand.

mod by_hand;
mod conformance;
mod contract;
mod support;
