//! The live side from outside: servers, gateways and drivers that talk to each other, over real sockets and over connections in
//! memory with a clock that stands still.

mod behind;
mod client;
mod driver;
mod driver_command;
mod driver_parity;
mod emulate;
mod emulate_command;
mod emulate_faults;
mod flight;
mod graduated;
mod parity;
mod scripted;
mod serve;
mod serve_command;
mod serve_fire;
mod served;
mod soak;
mod survey;
mod survey_command;
