//! The command line: one file a subcommand, arguments in two layers.
//!
//! clap reads what was typed into a subcommand's `Arguments`; the subcommand turns that into the library's own types or
//! into a [`Failure`], and writes to the output it is given. How a failure looks, and which exit code it has, is decided
//! here alone.

mod calibrate;
mod capacity;
mod check;
mod command_line;
mod common;
mod emulate;
mod explain;
mod export;
mod files;
mod find;
mod live;
mod measured;
mod outcome;
mod progress;
mod publish;
mod replay;
mod report;
mod schema;
mod serve;
mod simulate;
mod stop;
mod trace;
mod tune;

pub use outcome::{Exit, Failure};

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};

use clap::{Parser, Subcommand};

/// What `--help` says of exit codes.
const EXIT_CODES: &str = "Exit codes:
  0  done
  1  failed
  2  bad usage or bad input: trying again will not help
  3  an assertion did not hold
  4  the run is not valid
  130  interrupted; the same command goes on";

/// Simulates and tunes the policies that keep an LLM service alive under overload.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, about, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Simulate(simulate::Arguments),
    Capacity(capacity::Arguments),
    Live(live::Arguments),
    Calibrate(calibrate::Arguments),
    Tune(tune::Arguments),
    Replay(replay::Arguments),
    Check(check::Arguments),
    Emulate(emulate::Arguments),
    Explain(explain::Arguments),
    Report(report::Arguments),
    Export(export::Arguments),
    Schema(schema::Arguments),
    Serve(serve::Arguments),
    Trace(trace::Arguments),
}

/// Runs the command that `arguments` (the program's name first) ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let mut out = BufWriter::new(io::stdout().lock());
    let typed: Vec<OsString> = arguments.into_iter().collect();
    let done = match Arguments::try_parse_from(&typed) {
        Ok(arguments) => execute(arguments.command, &command_line::command_line(&typed), &mut out),
        Err(told) if !told.use_stderr() => write!(out, "{}", told.render()).map(|()| Exit::Done).map_err(Failure::from),
        Err(wrong) => Err(Failure::Usage(wrong.render().to_string())),
    };
    let done = done.and_then(|exit| out.flush().map(|()| exit).map_err(Failure::from));
    done.unwrap_or_else(|failure| {
        // Nobody is left to tell where standard error is closed too.
        let _ = write!(io::stderr().lock(), "{failure}");
        failure.exit()
    })
}

fn execute(command: Command, typed: &str, out: &mut impl Write) -> Result<Exit, Failure> {
    match command {
        Command::Simulate(arguments) => simulate::run(&arguments, typed, out),
        Command::Capacity(arguments) => capacity::run(&arguments, typed, out),
        Command::Live(arguments) => live::run(&arguments, typed, out),
        Command::Calibrate(arguments) => calibrate::run(&arguments, typed, out),
        Command::Tune(arguments) => tune::run(&arguments, typed, out),
        Command::Replay(arguments) => replay::run(&arguments, typed, out),
        Command::Check(arguments) => check::run(&arguments, out),
        Command::Emulate(arguments) => emulate::run(&arguments, out),
        Command::Explain(arguments) => explain::run(&arguments, out),
        Command::Report(arguments) => report::run(&arguments, out),
        Command::Export(arguments) => export::run(&arguments, out),
        Command::Schema(arguments) => schema::run(&arguments, out),
        Command::Serve(arguments) => serve::run(&arguments, out),
        Command::Trace(arguments) => trace::run(&arguments, typed, out),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
