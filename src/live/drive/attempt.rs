//! One attempt: an HTTP exchange, watched.

use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::{Response, StatusCode};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::body::length;
use super::line::Word;
use super::reading::{End, Reading, Trail, whole};
use super::refusal::refused;
use super::way::{Call, Way};
use crate::live::clock::Clock;
use crate::live::http::Leased;
use crate::live::openai::{ApiError, retry_after};
use crate::request::{AttemptId, Cause};
use crate::time::Time;

/// Longest error that is read, bytes.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Longest whole answer that is read, bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What an attempt tells, and when it happened.
#[derive(Debug)]
pub(super) struct Told {
    pub attempt: AttemptId,
    pub at: Time,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// The first token has come.
    FirstToken,
    /// The attempt is over.
    Over(End, Box<Trail>),
}

/// Whom an attempt tells.
pub(super) struct Ear {
    pub attempt: AttemptId,
    pub clock: Clock,
    pub to: UnboundedSender<Told>,
}

impl Ear {
    /// Nobody hears it any more where the run is over.
    fn tell(&self, at: Time, what: What) {
        let _ = self.to.send(Told { attempt: self.attempt, at, what });
    }
}

/// Makes the attempt, until it is over or its client leaves; then its connection is closed, which is how the server learns.
pub(super) async fn attempt(call: Call, way: Arc<Way>, ear: Ear, left: oneshot::Receiver<()>) {
    let mut trail = Trail::default();
    let end = tokio::select! {
        biased;
        _ = left => End::Left,
        end = exchange(&call, &way, &ear, &mut trail) => end,
    };
    trail.end = ear.clock.now();
    let at = trail.done.unwrap_or(trail.end);
    ear.tell(at, What::Over(end, Box::new(trail)));
}

async fn exchange(call: &Call, way: &Way, ear: &Ear, trail: &mut Trail) -> End {
    let request = way.request(call);
    trail.sent = Some(ear.clock.now());
    let response = match way.pool.send(request, way.terms).await {
        Ok(response) => response,
        Err(broken) => {
            trail.error = Some(broken.to_string());
            return End::failed(Cause::Connection, Word::Exc);
        }
    };
    trail.headers = Some(ear.clock.now());
    trail.status = Some(response.status().as_u16());
    match (response.status(), call.streaming) {
        (StatusCode::OK, true) => stream(call, way, response.into_body(), ear, trail).await,
        (StatusCode::OK, false) => one_piece(call, response.into_body(), ear, trail).await,
        _ => refusal(response, trail).await,
    }
}

async fn refusal(response: Response<Leased>, trail: &mut Trail) -> End {
    let (status, wait) = (response.status().as_u16(), retry_after(response.headers()));
    let body = Limited::new(response.into_body(), ERROR_BYTES_MAX).collect().await;
    let error = body.ok().and_then(|body| ApiError::read(&body.to_bytes()));
    trail.error = error.as_ref().map(|error| error.message.clone());
    End::refused(refused(status, error.as_ref(), wait))
}

async fn one_piece(call: &Call, body: Leased, ear: &Ear, trail: &mut Trail) -> End {
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => whole(&body.to_bytes(), 200, ear.clock.now(), length(&call.request), trail),
        Err(broken) => {
            trail.error = Some(broken.to_string());
            End::failed(Cause::Connection, Word::Exc)
        }
    }
}

async fn stream(call: &Call, way: &Way, mut body: Leased, ear: &Ear, trail: &mut Trail) -> End {
    let mut reading = Reading::new(length(&call.request));
    loop {
        let next = timeout(way.idle_timeout, body.frame());
        // Until the first token a server may make its clients wait as long as they will.
        let next = if trail.chunks.is_empty() { Ok(next.into_inner().await) } else { next.await };
        let frame = match next {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return reading.close(ear.clock.now(), trail),
            Ok(Some(Err(broken))) => {
                trail.error = Some(broken.to_string());
                return End::failed(Cause::Connection, Word::Exc);
            }
            Err(_) => {
                trail.error = Some(format!("nothing came for {} s", way.idle_timeout.as_secs_f64()));
                return End::failed(Cause::Idle, Word::Exc);
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        let (now, before) = (ear.clock.now(), trail.chunks.len());
        let end = reading.take(&data, now, trail);
        if before == 0 && !trail.chunks.is_empty() {
            ear.tell(now, What::FirstToken);
        }
        if let Some(end) = end {
            body.read_out();
            return end;
        }
    }
}
