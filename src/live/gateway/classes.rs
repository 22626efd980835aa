//! Who a request is of: the first class whose conditions all hold.

use std::str::FromStr;

use hyper::header::{self, HeaderMap, HeaderName};
use ring::digest::{SHA256, digest};

use super::config::{ClassRule, OTHER, Serve};
use crate::live::openai::{Facts, field};
use crate::request::ClassId;
use crate::time::{Span, Time};

/// The classes of the settings, ready to be asked.
#[derive(Debug)]
pub struct Classes {
    rules: Vec<Class>,
    /// Whether any rule looks at the API key.
    by_key: bool,
}

/// A class.
#[derive(Debug)]
pub struct Class {
    /// As it is written.
    pub rule: ClassRule,
    headers: Vec<(HeaderName, Text)>,
    path: Option<Text>,
    model: Option<Text>,
    key: Option<Text>,
    body: Vec<(String, Text)>,
    deadline: Option<HeaderName>,
    limit: Option<HeaderName>,
    estimate: Option<HeaderName>,
    tenant: Option<HeaderName>,
    draw: Option<HeaderName>,
}

/// A text, or what one begins with.
#[derive(Debug)]
struct Text {
    text: String,
    beginning: bool,
}

impl Text {
    fn new(written: &str) -> Self {
        let (text, beginning) = written.strip_suffix('*').map_or((written, false), |text| (text, true));
        Self { text: text.to_owned(), beginning }
    }

    fn fits(&self, text: &str) -> bool {
        if self.beginning { text.starts_with(&self.text) } else { text == self.text }
    }
}

/// What a request shows of itself.
#[derive(Copy, Clone, Debug)]
pub struct Shown<'a> {
    /// Its path.
    pub path: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// What its body says.
    pub facts: &'a Facts,
    /// Its body.
    pub body: &'a [u8],
}

impl Classes {
    /// The classes of these settings; after them that of those who fit none.
    ///
    /// # Panics
    /// Where a header's name is none, which the settings' check refuses.
    #[must_use]
    pub fn new(serve: &Serve) -> Self {
        let other = ClassRule { name: OTHER.to_owned(), ..ClassRule::default() };
        let rules: Vec<Class> = serve.class.iter().chain([&other]).map(Class::new).collect();
        Self { by_key: rules.iter().any(|class| class.key.is_some()), rules }
    }

    /// The class of a request.
    #[must_use]
    pub fn of(&self, shown: &Shown<'_>) -> (ClassId, &Class) {
        let key = if self.by_key { key_sha256(shown.headers) } else { None };
        let last = self.rules.len() - 1;
        let fits = |class: &Class| class.fits(shown, key.as_deref());
        let index = self.rules[..last].iter().position(fits).unwrap_or(last);
        (ClassId(u16::try_from(index).unwrap_or(u16::MAX)), &self.rules[index])
    }
}

impl Class {
    fn new(rule: &ClassRule) -> Self {
        let name = |name: &str| HeaderName::from_bytes(name.as_bytes()).expect("a header's name, as was checked");
        Self {
            headers: rule.header.iter().map(|(header, value)| (name(header), Text::new(value))).collect(),
            path: rule.path.as_deref().map(Text::new),
            model: rule.model.as_deref().map(Text::new),
            key: rule.key_sha256.as_ref().map(|key| Text::new(&key.to_ascii_lowercase())),
            body: rule.body.iter().map(|(field, value)| (field.clone(), Text::new(value))).collect(),
            deadline: rule.deadline_header.as_deref().map(name),
            limit: rule.limit_header.as_deref().map(name),
            estimate: rule.estimate_header.as_deref().map(name),
            tenant: rule.tenant_header.as_deref().map(name),
            draw: rule.draw_header.as_deref().map(name),
            rule: rule.clone(),
        }
    }

    fn fits(&self, shown: &Shown<'_>, key: Option<&str>) -> bool {
        let is = |wanted: &Option<Text>, text: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| text.is_some_and(|text| wanted.fits(text)))
        };
        let has = |(name, wanted): &(HeaderName, Text)| {
            shown.headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(|value| wanted.fits(value)))
        };
        let says = |(name, wanted): &(String, Text)| {
            field(shown.body, name).is_some_and(|value| plain(value).is_some_and(|text| wanted.fits(&text)))
        };
        is(&self.path, Some(shown.path))
            && is(&self.model, shown.facts.model.as_deref())
            && is(&self.key, key)
            && self.headers.iter().all(has)
            && self.body.iter().all(says)
    }

    /// When the client of a request that arrives `now` will wait no longer, if it says so.
    #[must_use]
    pub fn deadline(&self, now: Time, headers: &HeaderMap) -> Option<Time> {
        Some(now + Span::from_millis(number(headers, self.deadline.as_ref())?))
    }

    /// The most tokens that its answer may have, where its client says that it is more than the body's `limit`.
    #[must_use]
    pub fn limit(&self, limit: u32, headers: &HeaderMap) -> u32 {
        number(headers, self.limit.as_ref()).map_or(limit, |said| limit.max(said))
    }

    /// What its client takes the prompt's length for, if it says so; tokens, at least 1.
    #[must_use]
    pub fn estimate(&self, headers: &HeaderMap) -> Option<u32> {
        number(headers, self.estimate.as_ref()).map(|said: u32| said.max(1))
    }

    /// Who pays for it.
    #[must_use]
    pub fn tenant(&self, headers: &HeaderMap) -> u32 {
        number(headers, self.tenant.as_ref()).unwrap_or(self.rule.tenant)
    }

    /// The random bits that it brings, if it brings its own.
    #[must_use]
    pub fn draw(&self, headers: &HeaderMap) -> Option<u64> {
        number(headers, self.draw.as_ref())
    }
}

/// What a header says, where there is one and it is a number.
fn number<N: FromStr>(headers: &HeaderMap, name: Option<&HeaderName>) -> Option<N> {
    headers.get(name?)?.to_str().ok()?.trim().parse().ok()
}

/// A JSON value as a text: a string without its quotes, a number or a word as it stands.
fn plain(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    if text.starts_with('"') { serde_json::from_str(text).ok() } else { Some(text.to_owned()) }
}

/// SHA-256 of a request's API key, in hexadecimal.
fn key_sha256(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let key = value.strip_prefix(b"Bearer ").or_else(|| value.strip_prefix(b"bearer "))?.trim_ascii();
    Some(sha256(key))
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    digest(&SHA256, bytes).as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::scenario::parse_settings_and;

    const SETTINGS: &str = r#"
        [[serve.class]]
        name = "gold"
        header = { x-tier = "gold" }
        [[serve.class]]
        name = "keyed"
        key_sha256 = "2BB80D53*"
        [[serve.class]]
        name = "batch"
        path = "/v1/completions"
        model = "tiny-*"
        body = { user = "batch-*", priority = "3" }
        deadline_header = "x-wait-ms"
        limit_header = "x-most"
        estimate_header = "x-prompt"
        tenant_header = "x-payer"
        draw_header = "x-bits"
        tenant = 4
    "#;

    fn of(path: &str, headers: &[(&'static str, &str)], body: &str) -> String {
        let (_, serve) = parse_settings_and::<Serve>("a.toml", SETTINGS).unwrap();
        let classes = Classes::new(&serve);
        let pairs = headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        let headers: HeaderMap = pairs.collect();
        let facts = Facts::read(body.as_bytes()).unwrap();
        let (id, class) = classes.of(&Shown { path, headers: &headers, facts: &facts, body: body.as_bytes() });
        assert_eq!(serve.class_names()[id.index()], class.rule.name);
        class.rule.name.clone()
    }

    #[test]
    fn the_first_class_whose_conditions_all_hold() {
        assert_eq!(of("/v1/completions", &[("x-tier", "gold")], "{}"), "gold");
        assert_eq!(of("/v1/completions", &[("x-tier", "silver")], "{}"), "other");
        assert_eq!(of("/", &[("authorization", "Bearer secret")], "{}"), "keyed", "sha256 of `secret`");
        assert_eq!(of("/", &[("authorization", "Bearer another")], "{}"), "other");
        let body = r#"{"user": "batch-7", "priority": 3, "model": "tiny-1b"}"#;
        assert_eq!(of("/v1/completions", &[], body), "batch");
        assert_eq!(of("/v1/chat/completions", &[], body), "other");
        assert_eq!(of("/v1/completions", &[], r#"{"user": "batch-7", "priority": 4, "model": "tiny-1b"}"#), "other");
    }

    #[test]
    fn a_deadline_is_what_the_header_says() {
        let (_, serve) = parse_settings_and::<Serve>("a.toml", SETTINGS).unwrap();
        let class = Class::new(&serve.class[2]);
        let headers: HeaderMap =
            [(HeaderName::from_static("x-wait-ms"), HeaderValue::from_static("250"))].into_iter().collect();
        assert_eq!(class.deadline(Time::from_nanos(5), &headers), Some(Time::from_nanos(250_000_005)));
        assert_eq!(class.deadline(Time::ZERO, &HeaderMap::new()), None);
    }

    #[test]
    fn a_class_may_trust_what_its_clients_say_of_lengths_payer_and_chance() {
        let (_, serve) = parse_settings_and::<Serve>("a.toml", SETTINGS).unwrap();
        let class = Class::new(&serve.class[2]);
        let said = |value| -> HeaderMap {
            let names = ["x-most", "x-prompt", "x-payer", "x-bits"];
            names.map(|name| (HeaderName::from_static(name), HeaderValue::from_static(value))).into_iter().collect()
        };
        let of = |class: &Class, headers| {
            (class.limit(8, &headers), class.estimate(&headers), class.tenant(&headers), class.draw(&headers))
        };
        assert_eq!(of(&class, said("90")), (90, Some(90), 90, Some(90)));
        assert_eq!(of(&class, said("0")), (8, Some(1), 0, Some(0)), "the body's limit is never lowered");
        assert_eq!(of(&class, said("a lot")), (8, None, 4, None));
        let wary = Class::new(&serve.class[0]);
        assert_eq!(of(&wary, said("90")), (8, None, 0, None), "who does not name a header does not trust it");
    }
}
