//! `plimsoll export`: settings in the words of another system.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, ValueEnum};
use serde::Serialize;

use super::common::{self, env_settings};
use super::{Exit, Failure, files};
use crate::policy::{Lost, Settings};
use crate::scenario::{Holds, Scenario, holds, read_settings};

/// Write settings as a running system's flags, as its environment file, or as TOML; what these cannot carry goes to standard
/// error
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["settings", "from_flags", "from_env"]))]
pub struct Arguments {
    /// A scenario, or a TOML file with a `[policy]` table or its content
    settings: Option<PathBuf>,
    /// The settings behind a running system's flags, as in `--request_timeout 90 --max_queue_size 200`
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    from_flags: Option<String>,
    /// The settings behind a running system's environment file
    #[arg(long, value_name = "FILE")]
    from_env: Option<PathBuf>,
    /// How they are written
    #[arg(long = "as", value_name = "LANGUAGE", value_enum)]
    language: Language,
    /// Which variant of a scenario. Needed where its variants differ
    #[arg(long, value_name = "NAME", conflicts_with_all = ["from_flags", "from_env"])]
    variant: Option<String>,
    /// Exit with 2 if anything is lost, and write nothing
    #[arg(long)]
    strict: bool,
    /// Into this file instead of to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The languages that settings can be written in.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Command-line flags on one line
    Flags,
    /// An environment file
    Env,
    /// A `[policy]` table, which carries everything
    Toml,
}

/// Writes them.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    if let Some(path) = &arguments.out {
        files::is_free(path)?;
        let inputs: Vec<PathBuf> = arguments.settings.iter().chain(&arguments.from_env).cloned().collect();
        files::spares(&inputs, path)?;
    }
    let (settings, mut lost) = read(arguments)?;
    let (text, unsaid) = written(&settings, arguments.language);
    lost.extend(unsaid.iter().map(ToString::to_string));
    for sentence in &lost {
        // The exit code says it too under `--strict`, where standard error is closed.
        let _ = writeln!(std::io::stderr(), "lost: {sentence}");
    }
    if arguments.strict && !lost.is_empty() {
        return Err(Failure::Lost(lost.len()));
    }
    match &arguments.out {
        Some(path) => files::write_whole(path, &text)?,
        None => out.write_all(text.as_bytes())?,
    }
    Ok(Exit::Done)
}

/// The settings, and what of them is not in force.
fn read(arguments: &Arguments) -> Result<(Settings, Vec<String>), Failure> {
    if let Some(flags) = &arguments.from_flags {
        return Ok((common::flag_settings(flags, None)?, Vec::new()));
    }
    if let Some(path) = &arguments.from_env {
        return env_settings(path);
    }
    let path = arguments.settings.as_deref().expect("clap asks for one of the three");
    let settings = match holds(path) {
        Holds::Scenario => of_scenario(path, arguments.variant.as_deref())?,
        Holds::Environment => {
            let shown = path.display();
            return Err(Failure::Input(format!("`{shown}` holds an environment: name it behind `--from-env`")));
        }
        Holds::Settings if arguments.variant.is_some() => {
            return Err(Failure::Input(format!("`{}` holds settings alone, so it has no `--variant`", path.display())));
        }
        Holds::Settings => read_settings(path)?,
    };
    Ok((settings, Vec::new()))
}

/// The policies of one variant, or of all where they agree.
fn of_scenario(path: &Path, name: Option<&str>) -> Result<Settings, Failure> {
    let mut scenario = Scenario::load(path, &[])?;
    let all: Vec<String> = scenario.variants.iter().map(|variant| format!("`{}`", variant.name)).collect();
    if let Some(name) = name {
        scenario.variants.retain(|variant| variant.is_of(name));
    }
    let Some(first) = scenario.variants.first() else {
        let wanted = name.unwrap_or_default();
        return Err(Failure::Input(format!("there is no variant `{wanted}`; there are: {}", all.join(", "))));
    };
    if scenario.variants.iter().any(|variant| variant.policy != first.policy) {
        let message = format!("the variants have different policies: choose one by `--variant`; there are: {}", all.join(", "));
        return Err(Failure::Input(message));
    }
    Ok(first.policy.clone())
}

/// A file of settings alone.
#[derive(Serialize)]
struct File<'a> {
    policy: &'a Settings,
}

/// The text, and what it does not say.
pub fn written(settings: &Settings, language: Language) -> (String, Vec<Lost>) {
    match language {
        Language::Flags => {
            let (flags, lost) = settings.to_flags();
            (flags + "\n", lost)
        }
        Language::Env => settings.to_env(),
        Language::Toml => {
            let text = toml::to_string(&File { policy: settings });
            (text.expect("settings have string keys and nothing in them fails to serialise"), Vec::new())
        }
    }
}
