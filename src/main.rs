//! The `plimsoll` command.

use std::process::ExitCode;

/// A search starts thousands of short simulations, and the C library's allocator gives each one's memory back to the system
/// at its end: `benches/tune` spent a fifth of its time on getting it again. It takes no large pages (`no_thp`): a gateway's
/// thousands of small buffers, each mostly empty, would fill whole ones.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    plimsoll::cli::run(std::env::args_os()).into()
}
