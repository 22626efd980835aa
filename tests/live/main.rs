//! The live side from outside: servers, gateways and drivers that talk to each other.

mod driver;
mod driver_command;
mod scripted;
