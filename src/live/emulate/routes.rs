//! What each request to the emulated server is answered.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};

use super::body::{Answer, Break, BrokenOff, TOKEN, TokenStream, error, in_band, refusal};
use super::faults::{Fault, Faults, HEADER};
use super::machine::{InModel, NewsKind, Work};
use super::server::{Phase, Server};
use crate::live::clock::duration;
use crate::live::openai::{ApiError, DONE, Endpoint, Facts, Stop, Writer};
use crate::policy::Usage;
use crate::request::{Cause, ClassId, Prefix};

/// Header with which a request says of which of the scenario's classes it is; else its `user` may, and else it is of the first.
pub const CLASS_HEADER: &str = "x-plimsoll-class";

/// Header with which a request says what its prompt shares with others, `GROUP:TOKENS`: the model's prefix cache knows groups and
/// not contents. Without it a prompt shares nothing.
pub const PREFIX_HEADER: &str = "x-plimsoll-prefix";

/// Longest body taken, bytes.
const BODY_MAX: usize = 64 << 20;

type Reply = Result<Response<Answer>, BrokenOff>;

pub(super) async fn route(server: Arc<Server>, request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    let endpoint = Endpoint::of(&path);
    match (request.method(), path.as_str(), endpoint) {
        (&Method::POST, _, Endpoint::Chat | Endpoint::Completions) => generate(&server, endpoint, request).await,
        (&Method::POST, _, Endpoint::Embeddings) => {
            Ok(failed(&error(400, "BadRequestError", "The model does not support the embeddings API".to_owned())))
        }
        (&Method::GET, _, Endpoint::Models) => Ok(models(&server, &path)),
        (&Method::GET, "/health", _) => Ok(whole(StatusCode::OK, "text/plain", Bytes::new())),
        (&Method::GET, "/version", _) => {
            Ok(json(StatusCode::OK, concat!("{\"version\":\"plimsoll-emulate-", env!("CARGO_PKG_VERSION"), "\"}")))
        }
        (&Method::GET, "/load", _) => Ok(json(StatusCode::OK, format!("{{\"server_load\":{}}}", server.load()))),
        (&Method::GET, "/metrics", _) => {
            let text = server.machine().exposition();
            Ok(whole(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text))
        }
        (method, "/faults", _) if [Method::GET, Method::PUT, Method::DELETE].contains(method) => faults(&server, request).await,
        (_, "/health" | "/version" | "/load" | "/metrics" | "/faults", _)
        | (_, _, Endpoint::Chat | Endpoint::Completions | Endpoint::Embeddings | Endpoint::Models) => Ok(not_allowed()),
        _ => Ok(json(StatusCode::NOT_FOUND, "{\"detail\":\"Not Found\"}")),
    }
}

fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Answer> {
    let response = Response::builder().status(status).header(CONTENT_TYPE, kind);
    response.body(Answer::whole(body)).expect("the parts are well-formed")
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Answer> {
    whole(status, "application/json", body)
}

fn not_allowed() -> Response<Answer> {
    json(StatusCode::METHOD_NOT_ALLOWED, "{\"detail\":\"Method Not Allowed\"}")
}

fn failed(error: &ApiError) -> Response<Answer> {
    let status = error.status().and_then(|status| StatusCode::from_u16(status).ok());
    json(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error.body())
}

fn streamed(answer: Answer) -> Response<Answer> {
    let response = Response::builder().header(CONTENT_TYPE, "text/event-stream; charset=utf-8");
    response.body(answer).expect("the parts are well-formed")
}

fn models(server: &Server, path: &str) -> Response<Answer> {
    let (name, context) = (&server.settings().name, server.settings().model.context());
    let model = serde_json::json!({
        "id": name, "object": "model", "created": server.created_s(), "owned_by": "plimsoll", "root": name, "parent": null,
        "max_model_len": context,
    });
    match path.trim_end_matches('/').strip_prefix("/v1/models/") {
        None => json(StatusCode::OK, serde_json::json!({ "object": "list", "data": [model] }).to_string()),
        Some(wanted) if wanted == name => json(StatusCode::OK, model.to_string()),
        Some(wanted) => failed(&unknown_model(server, wanted)),
    }
}

fn unknown_model(server: &Server, wanted: &str) -> ApiError {
    let message = format!("The model `{wanted}` does not exist. There is: {}", server.settings().name);
    ApiError { param: Some("model".to_owned()), ..error(404, "NotFoundError", message) }
}

async fn faults(server: &Server, request: Request<Incoming>) -> Reply {
    let new = match *request.method() {
        Method::PUT => match body_of(request).await {
            Ok(body) => Faults::read(&body),
            Err(error) => return Ok(failed(&error)),
        }
        .map(Some),
        Method::DELETE => Ok(Some(Faults::default())),
        _ => Ok(None),
    };
    match new {
        Err(wrong) => return Ok(failed(&error(400, "BadRequestError", wrong))),
        Ok(Some(faults)) => server.set_faults(faults),
        Ok(None) => {}
    }
    Ok(json(StatusCode::OK, serde_json::to_vec(&server.faults()).expect("numbers and texts can be written")))
}

async fn body_of(request: Request<Incoming>) -> Result<Bytes, ApiError> {
    let collected = Limited::new(request.into_body(), BODY_MAX).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|wrong| {
        let too_long = wrong.is::<http_body_util::LengthLimitError>();
        let status = if too_long { 413 } else { 400 };
        error(status, "BadRequestError", format!("the request's body cannot be read: {wrong}"))
    })
}

/// A completion or a chat.
async fn generate(server: &Arc<Server>, endpoint: Endpoint, request: Request<Incoming>) -> Reply {
    let number = server.next_number();
    let load = server.count_load();
    let fault = match fault_of(server, request.headers(), number) {
        Ok(fault) => fault,
        Err(error) => return Ok(failed(&error)),
    };
    match fault {
        Some(Fault::Reset(0)) => return Err(BrokenOff),
        Some(Fault::Hang(0)) => return std::future::pending().await,
        Some(Fault::Status(status)) => {
            return Ok(failed(&error(status, "InjectedError", "this failure was asked for".to_owned())));
        }
        Some(Fault::InBand(code)) => {
            let wrong = error(code, "InjectedError", "this failure was asked for".to_owned());
            return Ok(streamed(Answer::whole(in_band(&wrong))));
        }
        Some(Fault::Garbage) => return Ok(streamed(Answer::whole(&b"\x00\xff{]data\r\n:::\n\ndata: {\"choices\":\n\n"[..]))),
        Some(Fault::Reset(_) | Fault::Hang(_) | Fault::Slow(_)) | None => {}
    }
    // The first look, as vLLM takes it: before the request has been read. Who passes it and is refused all the same is
    // refused in band.
    let was_full = server.machine().is_full();
    let asked = match Asked::read(server, endpoint, number, request).await {
        Ok(asked) => asked,
        Err(error) => return Ok(failed(&error)),
    };
    let writer = Writer::new(endpoint, number, server.created_s(), &server.settings().name);
    if server.phase() == Phase::Finishing {
        return Ok(aborted(&writer, &asked));
    }
    let mut call = server.machine().begin(asked.work);
    if let Some(Fault::Slow(span)) = fault {
        tokio::time::sleep(duration(span)).await;
    }
    let fault = match fault {
        Some(Fault::Reset(after)) => Break::Reset(after),
        Some(Fault::Hang(after)) => Break::Hang(after),
        _ => Break::Never,
    };
    // Known before the status line; the model says it when its host has come to it, and by then there may be room.
    if let Some(too_long) = asked.too_long {
        while call.next().await.is_some() {}
        return Ok(failed(&too_long));
    }
    if was_full && call.is_refused().await {
        return finished(&mut call, &writer, asked.stop(), Break::Never).await;
    }
    if asked.facts.stream {
        let stop = asked.stop();
        let stream = TokenStream::new(call, writer, asked.facts.include_usage, stop, fault, load);
        return Ok(streamed(Answer::Stream(Box::new(stream))));
    }
    finished(&mut call, &writer, asked.stop(), fault).await
}

/// The whole answer, when it is complete.
async fn finished(call: &mut InModel, writer: &Writer, stop: Stop, fault: Break) -> Reply {
    let mut tokens = 0;
    while let Some(news) = call.next().await {
        match fault {
            Break::Reset(after) if tokens >= after => return Err(BrokenOff),
            Break::Hang(after) if tokens >= after => return std::future::pending().await,
            _ => {}
        }
        tokens += 1;
        match news.kind {
            NewsKind::Token => {}
            NewsKind::Last(usage) => {
                let text = TOKEN.repeat(usage.output as usize);
                return Ok(json(StatusCode::OK, writer.whole(&text, stop, usage)));
            }
            NewsKind::Refused(cause) => return Ok(failed(&refusal(cause))),
        }
    }
    Ok(failed(&refusal(Cause::Overloaded)))
}

/// What vLLM answers while it waits for its last streams before it stops: success, without a token.
fn aborted(writer: &Writer, asked: &Asked) -> Response<Answer> {
    let usage = Usage { input: asked.work.input, output: 0 };
    if !asked.facts.stream {
        return json(StatusCode::OK, writer.whole("", Stop::Abort, usage));
    }
    streamed(Answer::whole([&writer.role()[..], &writer.token("", Some(Stop::Abort)), DONE].concat()))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn fault_of(server: &Server, headers: &HeaderMap, number: u64) -> Result<Option<Fault>, ApiError> {
    match header(headers, HEADER) {
        None => Ok(server.faults().of(server.settings().seed, number)),
        Some(text) => {
            let fault = text.parse().map(Some);
            fault.map_err(|wrong: super::NotAFault| error(400, "BadRequestError", format!("{HEADER}: {wrong}")))
        }
    }
}

fn class_of(server: &Server, headers: &HeaderMap) -> Result<Option<ClassId>, ApiError> {
    let Some(name) = header(headers, CLASS_HEADER) else { return Ok(None) };
    let class = server.class(name).map(Some);
    class.ok_or_else(|| {
        let known = server.class_names().collect::<Vec<_>>().join(", ");
        error(400, "BadRequestError", format!("{CLASS_HEADER}: there is no class `{name}`; there is: {known}"))
    })
}

fn prefix_of(headers: &HeaderMap) -> Result<Option<Prefix>, ApiError> {
    let Some(text) = header(headers, PREFIX_HEADER) else { return Ok(None) };
    let parts =
        text.split_once(':').and_then(|(group, tokens)| Some((group.trim().parse().ok()?, tokens.trim().parse().ok()?)));
    let prefix = parts.map(|(group, tokens)| Some(Prefix { group, tokens }));
    prefix.ok_or_else(|| error(400, "BadRequestError", format!("{PREFIX_HEADER}: `{text}` is not GROUP:TOKENS, such as 3:128")))
}

/// A request as it is understood.
struct Asked {
    facts: Facts,
    work: Work,
    /// What to answer where the model refuses it for its prompt's length.
    too_long: Option<ApiError>,
}

impl Asked {
    async fn read(server: &Server, endpoint: Endpoint, number: u64, request: Request<Incoming>) -> Result<Self, ApiError> {
        let bad = |message: String| error(400, "BadRequestError", message);
        let (class, prefix) = (class_of(server, request.headers())?, prefix_of(request.headers())?);
        let facts = Facts::read(&body_of(request).await?).map_err(|wrong| bad(wrong.to_string()))?;
        let settings = server.settings();
        if let Some(wanted) = facts.model.as_ref().filter(|wanted| **wanted != settings.name) {
            return Err(unknown_model(server, wanted));
        }
        if facts.weight.prompts == 0 {
            return Err(bad("the request has no prompt: give `prompt`, or `messages` to a chat".to_owned()));
        }
        if facts.answers() != 1 {
            return Err(bad(format!("{} answers in one request are not emulated: ask for them one by one", facts.answers())));
        }
        let (input, context) = (settings.rule.input_tokens(&facts.weight), settings.model.context());
        let room = context.saturating_sub(input);
        let max_tokens = facts.limit(endpoint, room.max(1));
        if max_tokens == 0 {
            return Err(bad("max_tokens must be at least 1, got 0.".to_owned()));
        }
        let class = class.or_else(|| facts.user.as_deref().and_then(|user| server.class(user))).unwrap_or_default();
        let most = max_tokens.min(room).max(1);
        let drawn = if facts.ignore_eos { None } else { server.answers().tokens(class, number) };
        let (output, length) = drawn.filter(|drawn| *drawn <= most).map_or((most, true), |drawn| (drawn, false));
        let work = Work { class, input, output, max_tokens, length, prefix };
        let too_long = (room == 0).then(|| {
            let message = format!("The prompt has {input} tokens; with an answer it must fit into the model's {context}.");
            ApiError { param: Some("prompt".to_owned()), ..bad(message) }
        });
        Ok(Self { facts, work, too_long })
    }

    const fn stop(&self) -> Stop {
        if self.work.length { Stop::Length } else { Stop::Stop }
    }
}
