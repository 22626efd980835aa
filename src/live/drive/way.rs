//! How requests reach the server: connections, the model's name, the key, and what a request says besides its body.

use std::env;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request as HttpRequest;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};

use super::body::Prompts;
use crate::live::emulate::{CLASS_HEADER, PREFIX_HEADER};
use crate::live::http::{Payload, Pool, PoolTerms, Target, client_config};
use crate::request::{Prefix, Request};
use crate::time::{Span, Time};

/// The header that names a request's class, for a gateway's rules.
pub const CLASS: &str = CLASS_HEADER;
/// The header in which a client says how many milliseconds it will wait, where its class announces that.
pub const DEADLINE: &str = "x-plimsoll-deadline-ms";
/// The header in which an attempt says how many tokens its class lets an answer have: its body states the answer's very length.
pub(super) const LIMIT: &str = "x-plimsoll-max-tokens";
/// The header in which an attempt says what its client takes the prompt's length for, tokens.
pub(super) const ESTIMATE: &str = "x-plimsoll-input-estimate";
/// The header in which an attempt says whose it is.
pub(super) const TENANT: &str = "x-plimsoll-tenant";
/// The header in which an attempt brings the random bits that it has in a simulation.
pub(super) const DRAW: &str = "x-plimsoll-draw";
/// The header in which clients of OpenAI's SDKs say which retry this is, from 0.
const RETRY: &str = "x-stainless-retry-count";

/// How connections are made: uvicorn, which serves vLLM, closes idle ones after 5 s, and whoever uses one then loses a request.
pub const TERMS: PoolTerms = PoolTerms { connect_timeout: Duration::from_secs(5), keep_alive: Duration::from_secs(4) };

/// Connections to a server.
///
/// # Errors
/// If TLS cannot be set up for it.
pub fn connections(target: &Target) -> io::Result<Arc<Pool>> {
    if !target.tls {
        return Ok(Pool::plain(target.clone()));
    }
    Pool::secure(target.clone(), client_config(None).map_err(io::Error::other)?)
}

/// Where attempts go, and what all of them have in common.
#[derive(Clone, Debug)]
pub struct Way {
    /// Connections to the server, or to a gateway in front of it.
    pub pool: Arc<Pool>,
    /// How they are made.
    pub terms: PoolTerms,
    /// The model's name there.
    pub model: String,
    /// Who may ask.
    pub key: Option<Key>,
    /// The prompts.
    pub prompts: Prompts,
    /// Longest silence of an answer that has begun.
    pub idle_timeout: Duration,
}

/// An API key. It is never shown.
#[derive(Clone)]
pub struct Key(HeaderValue);

/// Why an environment variable holds no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not set.
    #[error("the environment variable `{0}` is not set: it should hold the server's API key")]
    Unset(String),
    /// It is no key.
    #[error("the environment variable `{0}` holds nothing that could be an API key")]
    Unfit(String),
}

impl Key {
    /// The key in the environment variable `name`.
    ///
    /// # Errors
    /// If it is not set, or cannot stand in a header.
    pub fn of_env(name: &str) -> Result<Self, KeyError> {
        let value = env::var(name).map_err(|_| KeyError::Unset(name.to_owned()))?;
        let value = value.trim();
        let mut header = HeaderValue::from_str(&format!("Bearer {value}")).map_err(|_| KeyError::Unfit(name.to_owned()))?;
        if value.is_empty() {
            return Err(KeyError::Unfit(name.to_owned()));
        }
        header.set_sensitive(true);
        Ok(Self(header))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// An attempt to be made.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub request: Request,
    /// The class's name.
    pub class: HeaderValue,
    pub streaming: bool,
    /// Which attempt, from 1.
    pub number: u16,
    /// When it is to be sent.
    pub due: Time,
    /// The deadline that the client tells.
    pub deadline: Option<Time>,
}

/// A class's name as a header can carry it: as it is, but for what is no printable ASCII.
#[must_use]
pub fn class_header(name: &str) -> HeaderValue {
    let shown: String = name.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '_' }).collect();
    HeaderValue::from_str(&shown).expect("printable ASCII")
}

impl Way {
    /// The request for an attempt.
    pub(super) fn request(&self, call: &Call) -> HttpRequest<Payload> {
        let body = self.prompts.body(&call.request, &self.model, call.streaming);
        let mut request = self.bare("POST", "/v1/completions", Payload::whole(body));
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Without a name there is none to tell.
        if !call.class.is_empty() {
            headers.insert(CLASS, call.class.clone());
        }
        headers.insert(RETRY, HeaderValue::from(call.number - 1));
        headers.insert(LIMIT, HeaderValue::from(call.request.max_tokens));
        headers.insert(ESTIMATE, HeaderValue::from(call.request.input_estimate));
        headers.insert(TENANT, HeaderValue::from(call.request.tenant));
        headers.insert(DRAW, HeaderValue::from(call.request.draw(call.number)));
        // No real server asks: its cache sees the ids. A server that is emulated has no cache of ids.
        if let Some(Prefix { group, tokens }) = call.request.prefix {
            let value = HeaderValue::try_from(format!("{group}:{tokens}"));
            headers.insert(PREFIX_HEADER, value.expect("digits make a header"));
        }
        if let Some(deadline) = call.deadline {
            let left: Span = deadline.since(call.due);
            headers.insert(DEADLINE, HeaderValue::from(left.as_nanos() / 1_000_000));
        }
        request
    }

    /// A request without a body.
    pub(super) fn get(&self, path: &str) -> HttpRequest<Payload> {
        self.bare("GET", path, Payload::Whole(None))
    }

    fn bare(&self, method: &str, path: &str, body: Payload) -> HttpRequest<Payload> {
        let target = self.pool.target();
        let mut request = HttpRequest::builder()
            .method(method)
            .uri(format!("{}{path}", target.base))
            .header(HOST, target.host_header())
            .header(USER_AGENT, concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "*/*")
            .body(body)
            .expect("a method, a path and headers of ours make a request");
        if let Some(Key(key)) = &self.key {
            request.headers_mut().insert(AUTHORIZATION, key.clone());
        }
        request
    }
}
