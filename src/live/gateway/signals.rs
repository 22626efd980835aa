//! The server's own signals, read from its `/metrics` as vLLM writes them.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Uri};
use tokio::time::{Instant, sleep_until};

use super::call::{Collected, collect};
use super::service::Service;
use crate::live::clock::duration;
use crate::live::http::Payload;
use crate::policy::{Hint, Input, Mode, Settings};
use crate::time::Span;

/// Largest page of metrics that is read, bytes.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// How often the settings want to know, if they do.
#[must_use]
pub fn wanted(settings: &Settings) -> Option<Span> {
    settings.signals.as_ref().filter(|signals| signals.mode != Mode::Off).map(|signals| signals.every)
}

/// Tells the policies as often as the settings in force want it, for as long as the gateway runs. What cannot be read is not
/// told: its age counts against the server.
pub async fn watch(service: Arc<Service>) {
    loop {
        let mut reloaded = std::pin::pin!(service.reloaded.notified());
        reloaded.as_mut().enable();
        let Some(every) = service.settings().signals_every else {
            reloaded.await;
            continue;
        };
        let next = Instant::now() + duration(every).max(Duration::from_millis(1));
        if let Some(hint) = read(&service).await {
            service.owner.tell(Input::Hint(hint));
        }
        tokio::select! {
            () = sleep_until(next) => {}
            () = reloaded => {}
        }
    }
}

async fn read(service: &Service) -> Option<Hint> {
    let settings = service.settings();
    let mut request = Request::new(Payload::Whole(None));
    *request.method_mut() = Method::GET;
    *request.uri_mut() = service.upstream_uri(&Uri::from_static("/metrics"));
    request.headers_mut().insert(header::HOST, service.pool.target().host_header());
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("text/plain"));
    let idle = duration(settings.serve.connect_timeout);
    let response = tokio::time::timeout(idle, service.pool.send(request, settings.pool_terms())).await.ok()?.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let Ok(Collected::Whole(page)) = collect(response.into_body(), PAGE_BYTES_MAX, idle).await else { return None };
    hint(std::str::from_utf8(&page).ok()?)
}

/// What a page of metrics says, if it is a vLLM server's; sums over its engines, the fullest one's cache.
fn hint(page: &str) -> Option<Hint> {
    let values = |name: &'static str| {
        let lines = page.lines().filter_map(move |line| line.strip_prefix(name));
        let own = lines.filter(|rest| rest.starts_with(['{', ' ']));
        own.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).filter(|value| value.is_finite())
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
    let whole = |name| values(name).reduce(|a, b| a + b).map(|sum| sum as u32);
    Some(Hint {
        running: whole("vllm:num_requests_running")?,
        waiting: whole("vllm:num_requests_waiting")?,
        kv_use: values("vllm:kv_cache_usage_perc").fold(0.0, f64::max),
        remaining_tokens: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vllm_page_is_read_and_others_are_not() {
        let page = "# HELP vllm:num_requests_running x\nvllm:num_requests_running{engine=\"0\"} 3.0\n\
                    vllm:num_requests_running{engine=\"1\"} 2.0\nvllm:num_requests_waiting{engine=\"0\"} 7.0\n\
                    vllm:num_requests_waiting_by_reason{reason=\"x\"} 9.0\n\
                    vllm:kv_cache_usage_perc{engine=\"0\"} 0.25\nvllm:kv_cache_usage_perc{engine=\"1\"} 0.5\n";
        assert_eq!(hint(page), Some(Hint { running: 5, waiting: 7, kv_use: 0.5, remaining_tokens: None }));
        assert_eq!(hint("up 1\n"), None);
        assert_eq!(hint("vllm:num_requests_running NaN\nvllm:num_requests_waiting x\n"), None);
    }
}
