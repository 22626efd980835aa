//! A request that policies decide about.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::response;
use hyper::{Method, Request, Response, StatusCode, Uri};

use super::answer::{self, Answer};
use super::call::{Asking, Collected, Opened, collect};
use super::classes::{Class, Shown};
use super::exchange::{Exchange, Next};
use super::flow::{Flow, Opening};
use super::meter::{Outcome, Record};
use super::post::{Mail, Start};
use super::relay::Relay;
use super::retries::attempt_number;
use super::service::Service;
use super::settings::InForce;
use super::stream::Reading;
use crate::live::clock::duration;
use crate::live::http::Payload;
use crate::live::openai::{Edit, Endpoint, EstimateRule, Facts};
use crate::policy::Attempt;
use crate::request::{Cause, ClassId, Profile, Vantage};

/// What all calls for one attempt have in common.
struct Asked {
    endpoint: Endpoint,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    facts: Facts,
    profile: Profile,
    /// The limit on the answers together, as the body states it.
    max_tokens: u32,
}

/// Answers it.
pub async fn attempt(service: &Arc<Service>, endpoint: Endpoint, request: Request<Incoming>, id: &str) -> Response<Answer> {
    let settings = service.settings();
    let (head, body) = request.into_parts();
    let (body, facts) = match request_in(body, &settings).await {
        Ok(read) => read,
        Err(NoRequest { status, code, why }) => {
            service.meter.invalid(id, code, &why);
            return answer::error(status, code, why);
        }
    };
    let shown = Shown { path: head.uri.path(), headers: &head.headers, facts: &facts, body: &body };
    let (class, rules) = settings.classes.of(&shown);
    let record = Record::new(Arc::clone(settings.meter(class)), id);
    let rule = EstimateRule { bytes_per_token: settings.serve.bytes_per_token };
    let rest = rules.rule.default_max_tokens.unwrap_or(settings.serve.default_max_tokens).value();
    let max_tokens = facts.limit(endpoint, rest).saturating_mul(facts.answers());
    let input = rules.estimate(&head.headers).unwrap_or_else(|| rule.input_tokens(&facts.weight));
    let limit = rules.limit(max_tokens, &head.headers);
    let exchange = arrive(service, record, (class, rules), &head.headers, (input, limit, facts.stream));
    let asked = asked(service, endpoint, (head, body), (facts, rules.rule.profile(), max_tokens));
    drive(service, &settings, exchange, &asked).await
}

fn arrive(
    service: &Service,
    record: Record,
    (class, rules): (ClassId, &Class),
    headers: &HeaderMap,
    (input_estimate, max_tokens, streaming): (u32, u32, bool),
) -> Exchange {
    Exchange::arrive(&service.owner, record, |now, id, draw| Attempt {
        class,
        tenant: rules.tenant(headers),
        priority: rules.rule.priority,
        number: attempt_number(headers),
        deadline: rules.deadline(now, headers),
        streaming,
        profile: rules.rule.profile(),
        draw: rules.draw(headers).unwrap_or(draw),
        ..Attempt::new(id, input_estimate, max_tokens)
    })
}

/// Why a body holds no request.
struct NoRequest {
    status: StatusCode,
    code: &'static str,
    why: String,
}

/// The whole body and what it asks for, or why there is none.
async fn request_in(body: Incoming, settings: &InForce) -> Result<(Bytes, Facts), NoRequest> {
    let none = |status, code, why: &str| Err(NoRequest { status, code, why: why.to_owned() });
    let max = settings.serve.body_bytes_max.value() as usize;
    let body = match collect(body, max, duration(settings.serve.body_timeout)).await {
        Ok(Collected::Whole(body)) => body,
        Ok(Collected::TooMuch(..)) => {
            let why = format!("the request's body has more than {max} bytes");
            return none(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", &why);
        }
        Err(Cause::Idle) => return none(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the request's body did not come"),
        Err(_) => return none(StatusCode::BAD_REQUEST, "body_broken", "the request's body broke off"),
    };
    match Facts::read(&body) {
        Ok(facts) => Ok((body, facts)),
        Err(why) => none(StatusCode::BAD_REQUEST, "invalid_body", &why.to_string()),
    }
}

fn asked(
    service: &Service,
    endpoint: Endpoint,
    (head, body): (Parts, Bytes),
    (facts, profile, max_tokens): (Facts, Profile, u32),
) -> Asked {
    let mut headers = service.upstream_headers(head.headers);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::ACCEPT_ENCODING); // what is compressed cannot be read as it passes
    let uri = service.upstream_uri(&head.uri);
    Asked { endpoint, method: head.method, uri, headers, body, facts, profile, max_tokens }
}

impl Asked {
    fn strips_usage(&self) -> bool {
        self.facts.stream && self.endpoint.generates() && !self.facts.include_usage
    }

    fn call(&self, service: &Service, settings: &InForce, start: &Start) -> Opening {
        let lowered = start.max_tokens < self.max_tokens;
        let edit = Edit {
            max_tokens: lowered.then(|| (start.max_tokens / self.facts.answers()).max(1)),
            include_usage: self.strips_usage(),
        };
        // The body was read as an object once: it can be edited as one.
        let body = if edit.is_none() { None } else { edit.apply(self.endpoint, &self.body).ok() };
        let mut request = Request::new(Payload::whole(body.map_or_else(|| self.body.clone(), Bytes::from)));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        self.say_vantage(request.headers_mut(), start.vantage);
        let reading = Reading { events: true, strip_usage: self.strips_usage(), idle: duration(settings.serve.idle_timeout) };
        let asking = Asking {
            pool: Arc::clone(&service.pool),
            terms: settings.pool_terms(),
            reading,
            first_byte: settings.serve.first_byte_timeout.map(duration),
            whole_max: settings.serve.body_bytes_max.value() as usize,
        };
        Box::pin(asking.open(request))
    }

    /// For an adapter behind us that chooses among networks.
    fn say_vantage(&self, headers: &mut HeaderMap, vantage: Vantage) {
        if self.profile.vantage != Vantage::None {
            headers.insert("x-plimsoll-vantage", HeaderValue::from_static(vantage.name()));
        }
    }
}

/// What came of the latest call, kept until the policies say what becomes of it.
#[derive(Default)]
struct Kept {
    whole: Option<(response::Parts, Bytes)>,
    said: Option<(response::Parts, Bytes)>,
    head: Option<response::Parts>,
}

async fn drive(service: &Service, settings: &InForce, mut exchange: Exchange, asked: &Asked) -> Response<Answer> {
    let mut kept = Kept::default();
    loop {
        match exchange.next().await {
            Next::Opened(opened, running) => {
                running.limits(opened.limits());
                match opened {
                    Opened::Stream { head, stream } => {
                        kept.head = Some(head);
                        exchange.flow(Flow { stream: *stream, running });
                    }
                    Opened::Whole { head, body, end } => {
                        kept.whole = Some((head, body));
                        running.ended(end);
                    }
                    Opened::Failed { end, said, why } => {
                        exchange.record().failed(&why);
                        kept.said = said;
                        running.ended(end);
                    }
                }
            }
            Next::Mail(Mail::Start(start)) => {
                kept = Kept::default();
                exchange.record().starts(start.reserved);
                exchange.begin(&start, asked.call(service, settings, &start));
            }
            Next::Mail(Mail::Relay) => {
                if let Some(head) = kept.head.take() {
                    exchange.record().first_byte();
                    return relay(head, exchange);
                }
            }
            Next::Mail(Mail::Complete) => {
                exchange.is_over(Outcome::Completed);
                return whole(kept);
            }
            Next::Mail(Mail::Answer(refusal) | Mail::Cut(refusal)) => {
                exchange.is_refused(&refusal, false);
                let said = kept.said.filter(|_| matches!(refusal.kind, crate::policy::RefusalKind::Upstream(_)));
                return answer::refusal(&refusal, said);
            }
        }
    }
}

fn whole(kept: Kept) -> Response<Answer> {
    let Some((mut head, body)) = kept.whole else {
        return answer::error(StatusCode::BAD_GATEWAY, "no_answer", "the answer was lost"); // no call completes without one
    };
    answer::end_to_end(&mut head.headers);
    Response::from_parts(head, Answer::Whole(Some(body).filter(|body| !body.is_empty())))
}

fn relay(mut head: response::Parts, exchange: Exchange) -> Response<Answer> {
    answer::end_to_end(&mut head.headers);
    let kind = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let events = kind.starts_with(b"text/event-stream");
    if events {
        head.headers.remove(header::CONTENT_LENGTH);
    }
    Response::from_parts(head, Answer::Relay(Box::new(Relay::new(exchange, events))))
}
