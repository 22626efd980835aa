//! Which request is whose: policies', ours, or nobody's here.

use std::sync::{Arc, PoisonError, RwLock};

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::sync::Notify;

use super::admin;
use super::answer::{self, Answer};
use super::attempt::attempt;
use super::meter::Meter;
use super::owner::Owner;
use super::settings::{InForce, Written};
use crate::live::http::{Payload, Pool};
use crate::live::openai::Endpoint;
use crate::policy::Input;

/// What answers requests.
#[derive(Debug)]
pub struct Service {
    /// The policies.
    pub owner: Arc<Owner>,
    /// Connections to the upstream.
    pub pool: Arc<Pool>,
    /// What is counted.
    pub meter: Meter,
    /// Hash of the token that may change settings.
    pub(super) admin: Option<String>,
    settings: RwLock<Arc<InForce>>,
    /// What was in force at start: some of it stays so.
    started: Arc<InForce>,
    /// New settings are in force.
    pub(super) reloaded: Notify,
}

/// The header that carries a request's id, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that a client may bring.
const ID_MAX: usize = 128;

impl Service {
    /// A service of these settings.
    #[must_use]
    pub fn new(owner: Arc<Owner>, pool: Arc<Pool>, written: &Written, admin_token: Option<&str>) -> Self {
        let meter = Meter::new(&written.serve.metrics_prefix, &owner);
        let started = Arc::new(InForce::new(written, &meter));
        Self {
            owner,
            pool,
            meter,
            admin: admin_token.map(|token| super::classes::sha256(token.as_bytes())),
            settings: RwLock::new(Arc::clone(&started)),
            started,
            reloaded: Notify::new(),
        }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<InForce> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts new settings in force: what is in flight keeps its old terms. What is read at start stays as it was, which is said.
    pub fn reload(&self, written: &Written) -> Vec<String> {
        let new = Arc::new(InForce::new(written, &self.meter));
        let before = std::mem::replace(&mut *self.settings.write().unwrap_or_else(PoisonError::into_inner), Arc::clone(&new));
        self.owner.tell(Input::Settings(Box::new(written.shared())));
        self.reloaded.notify_waiters();
        tracing::info!(
            hash = %new.hash, before = %before.hash, serve = %new.serve_hash, serve_before = %before.serve_hash,
            "new settings are in force"
        );
        let gone = before.gone_in(&new);
        let gone = (!gone.is_empty()).then(|| format!("there is no `{}` any more", gone.join("`, no `")));
        gone.into_iter().chain(kept_from_start(&self.started, &new)).collect()
    }

    /// Answers a request.
    pub async fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Response<Answer> {
        let id = request_id(request.headers());
        request.headers_mut().insert(REQUEST_ID, id.clone());
        let mut response = self.route(request, id.to_str().unwrap_or_default()).await;
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }

    async fn route(self: Arc<Self>, mut request: Request<Incoming>, id: &str) -> Response<Answer> {
        if let Some(response) = admin::answer(&self, &mut request).await {
            return response;
        }
        let endpoint = Endpoint::of(request.uri().path());
        if endpoint.is_work() && request.method() == Method::POST {
            return attempt(&self, endpoint, request, id).await;
        }
        self.pass(request, endpoint).await
    }

    /// What no policy decides about goes through as it comes, both ways.
    async fn pass(&self, request: Request<Incoming>, endpoint: Endpoint) -> Response<Answer> {
        let settings = self.settings();
        if !settings.serve.passthrough && endpoint == Endpoint::Other {
            return answer::error(StatusCode::NOT_FOUND, "not_found", "this gateway serves the model's own paths only");
        }
        let (head, body) = request.into_parts();
        let mut onward = Request::new(Payload::Passing(body));
        *onward.method_mut() = head.method;
        *onward.uri_mut() = self.upstream_uri(&head.uri);
        *onward.headers_mut() = self.upstream_headers(head.headers);
        match self.pool.send(onward, settings.pool_terms()).await {
            Ok(response) => {
                let mut response = response.map(Answer::Passing);
                answer::end_to_end(response.headers_mut());
                response
            }
            Err(why) => {
                tracing::warn!(%why, "the upstream cannot be reached");
                answer::error(StatusCode::BAD_GATEWAY, "connection", "The connection to the model server broke")
            }
        }
    }

    /// Asks the upstream for its models.
    ///
    /// # Errors
    /// What was tried, and what came of it.
    pub async fn probe(&self) -> Result<(), String> {
        let mut request = Request::new(Payload::Whole(None));
        *request.uri_mut() = self.upstream_uri(&Uri::from_static("/v1/models"));
        request.headers_mut().insert(header::HOST, self.pool.target().host_header());
        let tried = format!("GET {}/v1/models", self.pool.target());
        let limit = self.settings().pool_terms().connect_timeout;
        let sent = tokio::time::timeout(limit, self.pool.send(request, self.settings().pool_terms())).await;
        let response = sent.map_err(|_| format!("{tried}: no answer within {} s", limit.as_secs_f64()))?;
        match response.map_err(|why| format!("{tried}: {why}"))?.status() {
            // It may want a key, which is its clients' business.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(()),
            status if status.is_success() => Ok(()),
            status => Err(format!("{tried}: {status}: is it an OpenAI-compatible server?")),
        }
    }

    /// The headers that go on to the upstream.
    #[must_use]
    pub fn upstream_headers(&self, mut headers: HeaderMap) -> HeaderMap {
        answer::end_to_end(&mut headers);
        headers.remove(header::EXPECT);
        headers.insert(header::HOST, self.pool.target().host_header());
        headers
    }

    /// The path that goes on to the upstream.
    #[must_use]
    pub fn upstream_uri(&self, uri: &Uri) -> Uri {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = path.strip_prefix(admin::UPSTREAM).filter(|rest| rest.starts_with('/')).unwrap_or(path);
        let base = &self.pool.target().base;
        let whole = if base.is_empty() { path.parse() } else { format!("{base}{path}").parse() };
        whole.unwrap_or_else(|_| Uri::from_static("/")) // both halves were read as paths before
    }
}

/// The client's id of a request, or a new one; visible ASCII.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let fits = |id: &&HeaderValue| (1..=ID_MAX).contains(&id.len()) && id.to_str().is_ok();
    headers.get(REQUEST_ID).filter(fits).cloned().unwrap_or_else(new_id)
}

/// 64 random bits, in hexadecimal.
fn new_id() -> HeaderValue {
    HeaderValue::try_from(format!("req-{:016x}", super::random_u64())).expect("visible ASCII")
}

/// Settings that a new file has otherwise than what was started with, and that are read at start alone.
fn kept_from_start(started: &InForce, new: &InForce) -> Vec<String> {
    let (old, new) = (&started.serve, &new.serve);
    let changed = [
        ("metrics_prefix", old.metrics_prefix != new.metrics_prefix),
        ("header_timeout", old.header_timeout != new.header_timeout),
        ("write_timeout", old.write_timeout != new.write_timeout),
        ("header_bytes_max", old.header_bytes_max != new.header_bytes_max),
        ("headers_max", old.headers_max != new.headers_max),
        ("connections_max", old.connections_max != new.connections_max),
        ("admin_token_env", old.admin_token_env != new.admin_token_env),
        ("journal_segment_bytes", old.journal_segment_bytes != new.journal_segment_bytes),
        ("journal_segments_max", old.journal_segments_max != new.journal_segments_max),
    ];
    let names = changed.into_iter().filter(|(_, differs)| *differs);
    names.map(|(name, _)| format!("serve.{name} is read at start: it takes a restart")).collect()
}
