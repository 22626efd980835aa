//! The gateway's own binary, in a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::behind::{PATIENCE, rest};

/// `plimsoll serve`, killed if the test does not end it.
pub struct Served {
    child: Child,
    /// `127.0.0.1:port`.
    pub at: String,
    out: BufReader<std::process::ChildStdout>,
    log: BufReader<ChildStderr>,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill(); // most often it has ended
        let _ = self.child.wait();
    }
}

/// `plimsoll serve` with these arguments.
pub fn command(settings: &Path, upstream: &str, listen: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.arg("serve").arg(settings).args(["--upstream", upstream, "--listen", listen]).args(more);
    command
}

impl Served {
    /// Started, and listening.
    pub fn start(settings: &Path, upstream: &str, more: &[&str]) -> Self {
        let mut command = command(settings, upstream, "127.0.0.1:0", more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut first = String::new();
        out.read_line(&mut first).expect("its first line");
        let at = first.split("://").nth(1).and_then(|rest| rest.split('/').next());
        let Some(at) = at.map(str::to_owned) else {
            let mut why = String::new();
            let _ = log.read_to_string(&mut why); // it has ended
            panic!("no address in `{first}`: {why}");
        };
        Self { child, at, out, log }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process's number");
        kill_process(Pid::from_raw(id).expect("not 0"), signal).expect("it runs");
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Reads its log up to a line with `text`, which it gives.
    pub fn log_until(&mut self, text: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.log.read_line(&mut line).expect("text");
            assert!(read > 0, "it ended before `{text}`");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Its end: exit code, and what it said last.
    pub fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.out.read_to_string(&mut said).expect("text");
        (self.child.wait().expect("an end").code(), said)
    }

    /// A connection on which `text` has been sent.
    pub async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.at).await.expect("it listens");
        stream.write_all(text.as_bytes()).await.expect("it reads");
        stream
    }

    /// A whole exchange on a connection of its own.
    pub async fn ask(&self, text: &str) -> String {
        rest(self.send(&text.replacen("host: test", "host: test\r\nconnection: close", 1)).await).await
    }

    /// The statistics.
    pub async fn stats(&self) -> serde_json::Value {
        let said = self.ask("GET /stats HTTP/1.1\r\nhost: test\r\n\r\n").await;
        let body = said.split("\r\n\r\n").nth(1).unwrap_or_default();
        serde_json::from_str(body).unwrap_or_else(|why| panic!("{why}: {said}"))
    }
}

/// Waits until nothing is in flight.
pub async fn quiet(served: &Served) {
    let still = async {
        loop {
            let stats = served.stats().await;
            if stats["attempts"] == 0 && stats["calls"] == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, still).await.expect("all come to an end");
}

/// Resident memory of a process, MB.
pub fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1e3
}
