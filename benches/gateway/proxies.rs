//! The proxies, each in processes of its own, and what the kernel says of them.

use std::fs::read_to_string;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;

/// The whole stack, with limits that nothing here meets: what is measured is what it costs, not what it refuses.
const STACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/gateway/stack.toml");

const NGINX: &str = r#"
worker_processes 1;
daemon off;
pid DIR/nginx.pid;
error_log DIR/error.log;
worker_rlimit_nofile FILES;
events { worker_connections FILES; }
http {
    access_log off;
    client_body_temp_path DIR/body;
    proxy_temp_path DIR/proxy;
    fastcgi_temp_path DIR/fastcgi;
    uwsgi_temp_path DIR/uwsgi;
    scgi_temp_path DIR/scgi;
    keepalive_requests 1000000000;
    upstream model { server UPSTREAM; keepalive 20000; keepalive_requests 1000000000; }
    server {
        listen 127.0.0.1:PORT;
        location / {
            proxy_pass http://model;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }
    }
}
"#;

const LITELLM: &str = "model_list:\n  - model_name: m\n    litellm_params:\n      model: text-completion-openai/m\n      \
                       api_base: http://UPSTREAM/v1\n      api_key: none\nlitellm_settings:\n  telemetry: false\ngeneral_settings:\n  \
                       master_key: sk-none\n";

/// A proxy under load.
pub struct Proxy {
    /// `nginx`.
    pub name: &'static str,
    /// Where it listens.
    pub at: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for process in family(self.child.id()).into_iter().skip(1) {
            let _ = Command::new("kill").arg(process.to_string()).status(); // it may be gone
        }
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill(); // it may be gone
    let _ = child.wait();
}

/// The upstream's address and every proxy that is there, ready; what is not there is said.
pub async fn start() -> (String, Vec<Proxy>) {
    let myself = std::env::current_exe().expect("a running program has a path");
    let mut upstream =
        Command::new(myself).arg("--upstream").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts itself");
    let mut address = String::new();
    BufReader::new(upstream.stdout.take().expect("it is piped")).read_line(&mut address).expect("its address");
    let address = address.trim().to_owned();
    // It lives as long as its input stays open, which is as long as this process.
    Box::leak(Box::new(upstream));
    let mut proxies = vec![plimsoll(&address)];
    for (name, variable, start) in [("nginx", "NGINX", nginx as fn(&PathBuf, &str) -> Proxy), ("litellm", "LITELLM", litellm)] {
        match found(name, variable) {
            Some(program) => proxies.insert(0, start(&program, &address)),
            None => println!("skipped: {name} is not in the PATH, and {variable} does not say where it is"),
        }
    }
    for proxy in &proxies {
        proxy.is_ready().await;
    }
    (address, proxies)
}

fn found(name: &str, variable: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(PathBuf::from(path));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn plimsoll(upstream: &str) -> Proxy {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = free();
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.arg("serve").arg(STACK).args(["--upstream", &format!("http://{upstream}"), "--listen", &at]);
    command.args(["--workers", "1", "--log-level", "warn"]);
    Proxy { name: "plimsoll", at, child: quiet(&mut command), _folder: folder }
}

fn nginx(program: &PathBuf, upstream: &str) -> Proxy {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shown = folder.path().display().to_string();
    let at = free();
    let port = at.rsplit(':').next().expect("it has a port");
    let files = super::load::files_max().to_string();
    let written = NGINX.replace("DIR", &shown).replace("UPSTREAM", upstream).replace("PORT", port).replace("FILES", &files);
    std::fs::write(folder.path().join("nginx.conf"), written).expect("it can be written");
    let child = quiet(Command::new(program).args(["-c", &format!("{shown}/nginx.conf"), "-p", &shown]));
    Proxy { name: "nginx", at, child, _folder: folder }
}

fn litellm(program: &PathBuf, upstream: &str) -> Proxy {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("litellm.yaml");
    std::fs::write(&config, LITELLM.replace("UPSTREAM", upstream)).expect("it can be written");
    let at = free();
    let port = at.rsplit(':').next().expect("it has a port");
    let mut command = Command::new(program);
    command.arg("--config").arg(&config).args(["--host", "127.0.0.1", "--port", port]);
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True"); // nothing is fetched
    Proxy { name: "litellm", at, child: quiet(&mut command), _folder: folder }
}

fn quiet(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be started")
}

/// An address that nobody listens on.
fn free() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

impl Proxy {
    /// Waits until it takes connections.
    async fn is_ready(&self) {
        for _ in 0..600 {
            if TcpStream::connect(&self.at).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("{} does not listen", self.name);
    }

    /// CPU seconds of all its processes so far.
    pub fn cpu(&self) -> f64 {
        let spent = |process: u32| {
            let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
            let each = threads.filter_map(|thread| read_to_string(thread.path().join("schedstat")).ok());
            each.filter_map(|text| text.split(' ').next()?.parse::<f64>().ok()).sum::<f64>() * 1e-9
        };
        family(self.child.id()).into_iter().map(spent).sum()
    }

    /// Resident memory of all its processes, MB.
    pub fn memory(&self) -> f64 {
        let resident = |process: u32| {
            let status = read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
            line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0 / 1e6
        };
        family(self.child.id()).into_iter().map(resident).sum()
    }
}

/// A process and all that come from it.
fn family(first: u32) -> Vec<u32> {
    let mut all = vec![first];
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let process: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = read_to_string(entry.path().join("stat")).ok()?;
            Some((process, stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect();
    let mut place = 0;
    while let Some(parent) = all.get(place).copied() {
        all.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(process, _)| *process));
        place += 1;
    }
    all
}

/// The machine's accounts so far: busy and all time, in the kernel's ticks.
pub fn machine() -> (f64, f64) {
    let stat = read_to_string("/proc/stat").expect("Linux");
    let ticks = stat.lines().next().expect("a first line").split_whitespace().skip(1);
    let ticks: Vec<f64> = ticks.map(|one| one.parse().expect("numbers")).collect();
    let idle = ticks[3] + ticks[4];
    let all: f64 = ticks.iter().take(8).sum();
    (all - idle, all)
}

/// The share of the machine that was busy between two readings.
pub fn busy(before: (f64, f64), after: (f64, f64)) -> f64 {
    (after.0 - before.0) / (after.1 - before.1).max(1.0)
}
