//! The room with sockets: an emulated server met over real ones, and over connections in memory with a clock that stands still.

mod client;
mod emulate;
mod emulate_command;
mod emulate_faults;
mod scripted;
mod serve;
mod serve_fire;
