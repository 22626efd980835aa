//! What a vLLM server says of itself under `/metrics`: how much it has to do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::way::Way;

/// Longest text that is read, bytes.
const BYTES_MAX: usize = 8 << 20;
/// Longest wait for it.
const WITHIN: Duration = Duration::from_secs(2);
/// Between two looks while a server becomes idle.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A server's own figures; of several engines the sum, of the KV cache the fullest.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gauges {
    /// Requests that it serves.
    pub running: f64,
    /// Requests that wait.
    pub waiting: f64,
    /// Share of the KV cache in use.
    pub kv_use: f64,
}

/// Reads them from the text format of Prometheus; `None` where vLLM's names are not in it.
#[must_use]
pub fn read_gauges(text: &str) -> Option<Gauges> {
    let mut gauges = Gauges::default();
    let mut known = false;
    for line in text.lines().filter(|line| line.starts_with("vllm:")) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let Some(value) = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()) else { continue };
        match name {
            "vllm:num_requests_running" => {
                gauges.running += value;
                known = true;
            }
            "vllm:num_requests_waiting" => gauges.waiting += value,
            "vllm:kv_cache_usage_perc" => gauges.kv_use = gauges.kv_use.max(value),
            _ => {}
        }
    }
    known.then_some(gauges)
}

/// The server's figures now; `None` where it does not tell them.
pub async fn poll_gauges(way: &Way) -> Option<Gauges> {
    let asked = async {
        let response = way.pool.send(way.get("/metrics"), way.terms).await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        let body = Limited::new(response.into_body(), BYTES_MAX).collect().await.ok()?;
        read_gauges(&String::from_utf8_lossy(&body.to_bytes()))
    };
    timeout(WITHIN, asked).await.ok().flatten()
}

/// Between two looks while a step runs.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// A look at the server's figures.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, seconds since the step began.
    pub t_s: f64,
    /// What they were.
    #[serde(flatten)]
    pub gauges: Gauges,
}

/// Looks at the server's figures every second, from its start on.
#[derive(Debug)]
pub struct GaugeWatch {
    seen: Arc<Mutex<Vec<Sample>>>,
    task: JoinHandle<()>,
}

impl GaugeWatch {
    /// Begins, inside the present runtime.
    #[must_use]
    pub fn start(way: Arc<Way>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            loop {
                sleep(WATCH_EVERY).await;
                if let Some(gauges) = poll_gauges(&way).await {
                    let sample = Sample { t_s: begun.elapsed().as_secs_f64(), gauges };
                    to.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
                }
            }
        });
        Self { seen, task }
    }

    /// What was seen: nothing of a server that does not tell.
    #[must_use]
    pub fn stop(self) -> Vec<Sample> {
        self.task.abort();
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Waits until the server has nothing to do, for at most `limit`; whether it has. A server that does not tell is given `unknown`.
pub async fn until_idle(way: &Arc<Way>, limit: Duration, unknown: Duration) -> bool {
    let begun = Instant::now();
    let mut idle = 0;
    while begun.elapsed() < limit {
        let Some(gauges) = poll_gauges(way).await else {
            sleep(unknown.min(limit)).await;
            return true;
        };
        // Gauges lag: once is not enough.
        idle = if gauges.running + gauges.waiting <= 0.0 { idle + 1 } else { 0 };
        if idle == 2 {
            return true;
        }
        sleep(LOOK_EVERY).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vllms_names_are_read_and_others_are_not() {
        let text = "# HELP vllm:num_requests_running x\n# TYPE vllm:num_requests_running gauge\n\
                    vllm:num_requests_running{engine=\"0\",model_name=\"a b\"} 3.0\n\
                    vllm:num_requests_running{engine=\"1\",model_name=\"a b\"} 2.0\n\
                    vllm:num_requests_waiting{engine=\"0\"} 7\nvllm:num_requests_waiting_by_reason{reason=\"x\"} 7\n\
                    vllm:kv_cache_usage_perc{engine=\"0\"} 0.25\nvllm:kv_cache_usage_perc{engine=\"1\"} 0.5\n";
        assert_eq!(read_gauges(text), Some(Gauges { running: 5.0, waiting: 7.0, kv_use: 0.5 }));
        assert_eq!(read_gauges("http_requests_total 4\nvllm:num_requests_waiting x\n"), None);
        assert_eq!(read_gauges(""), None);
    }
}
