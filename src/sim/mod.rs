//! The event loop: workload -> gateway -> upstream -> journal.
