//! `plimsoll serve`: the policies in front of a real server.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, Failure};
use crate::live::gateway::{RecorderTerms, Server, Wiring, Written, random_u64};
use crate::live::http::{ListenError, Listener, Pool, Target, client_config, server_config};
use crate::scenario::{Holds, holds};
use crate::time::Span;

/// Put settings to work: an OpenAI-compatible reverse proxy whose every decision is theirs
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// A TOML file with a `[policy]` table or its content, and how it is served in `[serve]`
    settings: PathBuf,
    /// What stands behind, such as `http://127.0.0.1:8000`
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// Address and port to listen on; port 0 takes any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Serve by TLS: the chain of certificates (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Whom to trust upstream, instead of the system's authorities (PEM)
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// Record all that the policies are told and decide into this new folder; `plimsoll replay --verify FOLDER` decides it again
    #[arg(long, value_name = "FOLDER")]
    journal: Option<PathBuf>,
    /// Threads. Default: one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Seed of the policies' random draws. Default: another one each time
    #[arg(long)]
    seed: Option<u64>,
    /// On SIGTERM, how long what is in flight may take
    #[arg(long, value_name = "SPAN", default_value = "10m")]
    drain_timeout: Span,
    /// How the log is written, to standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    log: LogFormat,
    /// What is logged; `debug` has a line for each request
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    log_level: LogLevel,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One object a line
    Json,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    /// Failures of the gateway's own
    Error,
    /// What somebody should look at
    Warn,
    /// Start, reload, end; calls that failed and requests that were refused
    #[default]
    Info,
    /// Every request
    Debug,
}

/// Serves until it is told to stop.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let written = read(arguments)?;
    let target: Target = arguments.upstream.parse().map_err(|wrong| Failure::Input(format!("--upstream {wrong}")))?;
    if target.base.ends_with("/v1") {
        let what = "paths are passed on whole, `/v1` too";
        return Err(Failure::Input(format!("--upstream {target}: {what}\n  = leave `/v1` away at the end")));
    }
    log(arguments);
    let runtime = threads(arguments.workers).enable_all().build();
    let runtime = runtime.map_err(|why| Failure::Input(format!("cannot start the server's threads: {why}")))?;
    runtime.block_on(serve(arguments, written, target, out))
}

/// So many threads. One alone steals no work and wakes no other, which costs less for each request.
fn threads(workers: Option<u16>) -> Builder {
    if workers == Some(1) {
        return Builder::new_current_thread();
    }
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = workers {
        builder.worker_threads(usize::from(workers));
    }
    builder
}

fn read(arguments: &Arguments) -> Result<Written, Failure> {
    let shown = arguments.settings.display();
    match holds(&arguments.settings) {
        Holds::Settings => Ok(Written::read(&arguments.settings)?),
        Holds::Environment => {
            let help =
                format!("write it as settings first: `plimsoll export --from-env {shown} --as toml --out settings.toml`");
            Err(Failure::Input(format!("`{shown}` holds an environment, and no settings\n  = {help}")))
        }
        // What is neither, or cannot be read, is told by the reader of settings.
        Holds::Scenario => match Written::read(&arguments.settings) {
            Ok(written) => Ok(written),
            Err(wrong) if arguments.settings.is_file() && crate::scenario::Scenario::load(&arguments.settings, &[]).is_ok() => {
                drop(wrong);
                let help = format!("take its policies out: `plimsoll export {shown} --as toml --out settings.toml`");
                Err(Failure::Input(format!("`{shown}` holds a whole scenario, and no settings alone\n  = {help}")))
            }
            Err(wrong) => Err(wrong.into()),
        },
    }
}

fn log(arguments: &Arguments) {
    let level = match arguments.log_level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
    };
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // Only one can be set in a process, and this one is first.
    match arguments.log {
        LogFormat::Text => subscriber.with_ansi(false).init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}

async fn serve(arguments: &Arguments, written: Written, target: Target, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut signals = Signals::new().map_err(|why| Failure::Input(format!("cannot listen to signals: {why}")))?;
    let upstream = target.to_string();
    let wiring = wiring(arguments, written, target).await?;
    let (policy, serve) = (wiring.written.shared(), wiring.written.serve.clone());
    let server = Server::start(wiring).map_err(|wrong| Failure::Input(wrong.to_string()))?;
    let address = server.address().map_or_else(|| arguments.listen.clone(), |address| address.to_string());
    let (scheme, hash) = (if arguments.tls_cert.is_some() { "https" } else { "http" }, server.settings_hash());
    writeln!(out, "{scheme}://{address}/v1 stands before {upstream}, settings {hash}; Ctrl-C stops")?;
    out.flush()?;
    let json = |section: serde_json::Result<String>| section.unwrap_or_default();
    let (policy, serve) = (json(serde_json::to_string(&policy)), json(serde_json::to_string(&serve)));
    tracing::info!(settings = %hash, %policy, %serve, "the gateway serves");
    if let Err(why) = server.probe().await {
        tracing::warn!(%why, "the upstream does not answer as a model server does");
    }
    while let Told::Reload = signals.next().await {
        reload(arguments, &server);
    }
    stop(arguments, server, signals, out).await
}

async fn wiring(arguments: &Arguments, written: Written, target: Target) -> Result<Wiring, Failure> {
    let failed = |wrong: &dyn ToString| Failure::Input(wrong.to_string());
    let tls = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificate), Some(key)) => Some(server_config(certificate, key).map_err(|wrong| failed(&wrong))?),
        _ => None,
    };
    let pool = if target.tls {
        let trusted = client_config(arguments.upstream_ca.as_deref()).map_err(|wrong| failed(&wrong))?;
        Pool::secure(target, trusted).map_err(|wrong| failed(&wrong))?
    } else {
        Pool::plain(target)
    };
    let admin_token = admin_token(&written)?;
    let journal = arguments.journal.as_ref().map(|folder| RecorderTerms {
        folder: folder.clone(),
        segment_bytes: u64::from(written.serve.journal_segment_bytes.value()),
        segments_max: u64::from(written.serve.journal_segments_max.value()),
        classes: written.serve.class_names(),
    });
    let upstream = tokio::net::lookup_host((pool.target().host.as_str(), pool.target().port)).await;
    let upstream: Vec<SocketAddr> = upstream.into_iter().flatten().collect(); // one that is not there is told by the probe
    let listener = Listener::bind(&arguments.listen, tls).await.map_err(|wrong: ListenError| failed(&wrong))?;
    if listener.address().is_some_and(|own| upstream.iter().any(|there| leads_to(*there, own))) {
        let help = "name the model server behind --upstream";
        return Err(Failure::Input(format!("--upstream {} is this gateway itself\n  = {help}", pool.target())));
    }
    let seed = arguments.seed.unwrap_or_else(random_u64);
    Ok(Wiring { listener, pool, written, seed, admin_token, journal })
}

/// Whether who connects to `there` meets who listens on `own`, as far as can be known without asking the system's interfaces.
fn leads_to(there: SocketAddr, own: SocketAddr) -> bool {
    let same = there.ip() == own.ip() || own.ip().is_unspecified() && there.ip().is_loopback();
    same && there.port() == own.port()
}

/// Shortest token that is taken, bytes.
const TOKEN_BYTES_MIN: usize = 16;

fn admin_token(written: &Written) -> Result<Option<String>, Failure> {
    let Some(name) = &written.serve.admin_token_env else { return Ok(None) };
    match std::env::var(name) {
        Ok(token) if token.len() >= TOKEN_BYTES_MIN => Ok(Some(token)),
        Ok(_) => Err(Failure::Input(format!("the token in `{name}` has fewer than {TOKEN_BYTES_MIN} characters"))),
        Err(_) => {
            let help = "set it, or leave `serve.admin_token_env` out";
            Err(Failure::Input(format!("the environment has no `{name}`, which `serve.admin_token_env` names\n  = {help}")))
        }
    }
}

/// Parsed first; on an error the old ones stay, and the log says why.
fn reload(arguments: &Arguments, server: &Server) {
    match Written::read(&arguments.settings) {
        Ok(written) => server.reload(&written).into_iter().for_each(|remark| tracing::warn!("{remark}")),
        Err(wrong) => tracing::error!("new settings are wrong: the old ones stay\n{wrong}"),
    }
}

async fn stop(arguments: &Arguments, server: Server, mut signals: Signals, out: &mut impl Write) -> Result<Exit, Failure> {
    tracing::info!("draining");
    server.drain();
    let limit = Duration::from_nanos(arguments.drain_timeout.as_nanos());
    let late = server.in_flight();
    let ended = tokio::select! {
        ended = server.ended() => Some(ended),
        () = tokio::time::sleep(limit) => None,
        () = signals.stop() => None, // whoever says it twice means it
    };
    match ended {
        Some(ended) => {
            let counters = &ended.counters;
            let refused: u64 = counters.refusals.iter().map(|counted| counted.enforced).sum();
            let ends =
                [("timed out", counters.timed_out), ("failed", counters.failed), ("left by their clients", counters.gone)];
            let others = ends.iter().filter(|(_, count)| *count > 0).map(|(how, count)| format!(", {count} {how}"));
            let others = others.collect::<Vec<_>>().concat();
            let missed = ended.missed.map_or_else(String::new, |missed| format!("; {missed} inputs are not in the journal"));
            let (arrived, completed) = (counters.arrived, counters.completed);
            writeln!(out, "{arrived} requests: {completed} completed, {refused} refused{others}{missed}")?;
            out.flush()?;
            Ok(Exit::Done)
        }
        None => Err(Failure::Invalid(format!(
            "stopped before all was answered: {} requests and {} calls were in flight when the drain began",
            late.attempts, late.calls
        ))),
    }
}

enum Told {
    Reload,
    Stop,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let of = |kind: SignalKind| signal(kind);
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
            hang_up: of(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }

    async fn stop(&mut self) {
        while !matches!(self.next().await, Told::Stop) {}
    }
}
