//! The same machines in the real world: the gateway in front of a real server, a server made of the upstream's model, and the
//! load driver that sends a scenario's requests to either.
//!
//! This is the only room with sockets, tasks that wait and the clock on the wall. What is decided is decided elsewhere: by
//! [`policy::Gateway`](crate::policy::Gateway), [`workload::Client`](crate::workload::Client) and
//! [`upstream`](crate::upstream), whose inputs and outputs are carried here to and from the network.

pub mod clock;
pub mod drive;
pub mod emulate;
pub mod gateway;
pub mod http;
pub mod openai;
pub mod survey;
