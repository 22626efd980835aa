//! The gateway's own paths: `/health`, `/stats`, `/metrics`, `PUT /admin/settings`; and `/upstream/...` for those of the
//! upstream that have the same names.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header;
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::answer::{self, Answer};
use super::call::{Collected, collect};
use super::classes::sha256;
use super::owner::InFlight;
use super::service::Service;
use super::settings::Written;
use crate::live::clock::duration;
use crate::policy::{Stats, engine_of};
use crate::request::{Profile, Reason};
use crate::time::Time;

/// What stands before the upstream's own `/health`, `/metrics` and so on.
pub const UPSTREAM: &str = "/upstream";
/// Media type of `OpenMetrics` text.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Largest file of settings that is taken, bytes.
const SETTINGS_BYTES_MAX: usize = 1 << 20;

/// The answer to a request for one of them.
pub async fn answer(service: &Arc<Service>, request: &mut Request<Incoming>) -> Option<Response<Answer>> {
    let get = matches!(*request.method(), Method::GET | Method::HEAD);
    let found = match request.uri().path() {
        "/health" if get => health(service),
        "/stats" if get => json(StatusCode::OK, &statistics(service)),
        "/metrics" if get => answer::whole(StatusCode::OK, METRICS, service.meter.text()),
        "/admin/settings" => settings(service, request).await,
        _ => return None,
    };
    Some(found)
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Answer> {
    answer::whole(status, "application/json", serde_json::to_vec(value).expect("numbers and names can be written"))
}

/// 200 while requests are taken, 503 while the gateway drains; the numbers beside are those of `/stats`.
fn health(service: &Service) -> Response<Answer> {
    let (_, stats) = service.owner.stats();
    let (code, word) = if stats.draining { (StatusCode::SERVICE_UNAVAILABLE, "draining") } else { (StatusCode::OK, "ok") };
    let settings = service.settings();
    let hashes = (&settings.hash, &settings.serve_hash);
    json(code, &json!({ "status": word, "settings_hash": hashes.0, "serve_hash": hashes.1, "statistics": statistics(service) }))
}

/// The statistics with the names of the systems that they come from.
fn statistics(service: &Service) -> serde_json::Value {
    let (now, stats) = service.owner.stats();
    let InFlight { attempts, calls } = service.owner.in_flight();
    let Stats { counters, now: snapshot, .. } = &stats;
    let rejections: serde_json::Map<_, _> = Reason::ALL
        .into_iter()
        .map(|reason| {
            let counted = counters.refused(reason);
            let row = json!({ "engine": engine_of(reason), "enforced": counted.enforced, "observed": counted.observed });
            (reason.name().to_owned(), row)
        })
        .collect();
    let multipliers = stats.multipliers.map(|all| {
        all.iter().enumerate().map(|(kind, value)| (Profile::kind_name(kind), json!(value))).collect::<serde_json::Map<_, _>>()
    });
    let mut counted = serde_json::to_value(counters).expect("numbers");
    counted["refusals"] = rejections.into();
    json!({
        "uptime_s": (now - Time::ZERO).as_secs_f64(),
        "settings_hash": service.settings().hash,
        "abandoned_requests": snapshot.abandoned_counted,
        "abandoned_running": snapshot.abandoned_true,
        "capacity_used": stats.capacity_used,
        "rejection_threshold": stats.rejection_threshold,
        "time_until_reset": stats.time_until_reset.map(crate::time::Span::as_secs_f64),
        "queue_depth": snapshot.waiting,
        "queue_tokens": stats.queue_tokens,
        "waiting_for_budget": snapshot.waiting_for_budget,
        "in_flight": snapshot.in_flight,
        "slots": stats.slots,
        "attempts": attempts,
        "calls": calls,
        "service_time_s": stats.service_time.map(crate::time::Span::as_secs_f64),
        "budget_left": stats.budget_left,
        "reserved": stats.reserved,
        "heavy_lane_running": stats.lane_running,
        "proxy_circuits_open": stats.circuits_open,
        "adaptive_multipliers": multipliers,
        "draining": stats.draining,
        "upstream_signals": stats.hint.map(|(at, hint)| json!({ "age_s": (now - at).as_secs_f64(), "signals": hint })),
        "counters": counted,
    })
}

/// New settings, from somebody with the token. Without one there is no such path.
async fn settings(service: &Arc<Service>, request: &mut Request<Incoming>) -> Response<Answer> {
    let Some(admin) = &service.admin else {
        return answer::error(StatusCode::NOT_FOUND, "not_found", "settings cannot be changed here: no token is set");
    };
    let given = request.headers().get(header::AUTHORIZATION).map(hyper::header::HeaderValue::as_bytes);
    let token = given.and_then(|value| value.strip_prefix(b"Bearer "));
    // Hashes are compared, so that how long it takes tells nothing about the token.
    if token.is_none_or(|token| sha256(token) != *admin) {
        return answer::error(StatusCode::UNAUTHORIZED, "invalid_token", "settings take the token of this gateway");
    }
    if request.method() != Method::PUT {
        return answer::error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "settings are put here");
    }
    let idle = duration(service.settings().serve.body_timeout);
    let Ok(Collected::Whole(body)) = collect(request.body_mut(), SETTINGS_BYTES_MAX, idle).await else {
        return answer::error(StatusCode::BAD_REQUEST, "body_broken", "the settings did not come whole, or are no settings");
    };
    let read = std::str::from_utf8(&body).map_err(|why| format!("the settings are no text: {why}"));
    match read.and_then(|text| Written::parse("settings", text).map_err(|wrong| wrong.to_string())) {
        Ok(written) => {
            let remarks = service.reload(&written);
            json(StatusCode::OK, &json!({ "settings_hash": service.settings().hash, "remarks": remarks }))
        }
        Err(why) => {
            tracing::warn!(%why, "new settings are wrong: the old ones stay");
            answer::error(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_settings",
                format!("the old settings stay in force\n{why}"),
            )
        }
    }
}
