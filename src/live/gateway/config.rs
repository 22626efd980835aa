//! The `[serve]` section of a settings file: what the gateway does that is no policy.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::Settings;
use crate::request::{Country, Profile, ProxyMode, Vantage};
use crate::scenario::{Complaint, Section};
use crate::time::Span;
use crate::units::{Count, Fraction, Positive};

/// How the gateway serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Serve {
    /// What stands before each metric's name; empty for the names of seed 002 alone. Default `plimsoll_`. Read at start.
    pub metrics_prefix: String,
    /// This process's share of what the policies give out by rate (tokens a minute, requests a second): one over the number of
    /// gateways in front of the same upstream. Counts (slots, places, abandoned work) are each gateway's own. Default 1.
    pub share: Fraction,
    /// Longest silence of an answer that has begun: a stream that hangs is ended after it. Default 60 s.
    pub idle_timeout: Span,
    /// Longest wait for an answer to begin. Default: the policies' timeouts alone bound it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_timeout: Option<Span>,
    /// Longest wait for a connection upstream. Default 5 s.
    pub connect_timeout: Span,
    /// How long an unused connection upstream is kept. Default 4 s: uvicorn, which serves vLLM, closes them after 5 s.
    pub upstream_keep_alive: Span,
    /// Longest wait for a request's head, and so how long an idle client is kept. Default 30 s. Read at start.
    pub header_timeout: Span,
    /// Longest pause in a request's body. Default 30 s.
    pub body_timeout: Span,
    /// Longest time in which a client takes nothing of its answer. Default 60 s. Read at start.
    pub write_timeout: Span,
    /// Largest body of a request that policies decide about, bytes. Default 64 MiB.
    pub body_bytes_max: Count,
    /// Largest head of a request, bytes, at least 8192. Default 64 KiB. Read at start.
    pub header_bytes_max: Count,
    /// Most headers of a request. Default 100. Read at start.
    pub headers_max: Count,
    /// Most clients connected at once; others wait in the system's queue. Default 20,000. Read at start.
    pub connections_max: Count,
    /// Bytes of text taken for one token where the prompt is no list of token ids. Default 4 (OpenAI's rule of thumb for English).
    pub bytes_per_token: Positive,
    /// The limit on the answer that is assumed where the client states none, tokens. Default 1024 (ours).
    pub default_max_tokens: Count,
    /// Where false, only the paths that policies decide about are served. Default true.
    pub passthrough: bool,
    /// The environment variable that holds the token of `PUT /admin/settings`. Default: there is no such path. Read at start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_token_env: Option<String>,
    /// Size at which the journal begins a new segment, bytes before compression. Default 64 MiB. Read at start.
    pub journal_segment_bytes: Count,
    /// Segments that the journal keeps; the oldest is removed. Default 64. Read at start.
    pub journal_segments_max: Count,
    /// Classes of requests, the first whose conditions all hold. Who fits none is of the class `other`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class: Vec<ClassRule>,
}

/// A class of requests: who belongs to it and how policies see it. Text is compared whole, or up to a `*` at its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassRule {
    /// Its name in metrics and journal, different from the others'.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Condition: headers that the request must have, with their values: `{ "x-tier" = "gold" }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, String>,
    /// Condition: its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Condition: the model that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Condition: SHA-256 of its API key (what follows `Bearer `), 64 hexadecimal digits or the first ones and `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_sha256: Option<String>,
    /// Condition: fields at the top of its body that must be there: `{ user = "batch-*" }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub body: BTreeMap<String, String>,
    /// More is more urgent, for `queue.by_priority`. Default 0.
    #[serde(default)]
    pub priority: u8,
    /// Who pays. Default 0.
    #[serde(default)]
    pub tenant: u32,
    /// The limit on the answer that is assumed where the client states none. Default: that of `[serve]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_max_tokens: Option<Count>,
    /// The header in which its clients say how many milliseconds they will wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_header: Option<String>,
    /// The header in which its clients say how many tokens an answer may have at most, where that is more than the body's limit:
    /// policies then reserve by it. For clients who are trusted to know, such as our own driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_header: Option<String>,
    /// The header in which its clients say how many tokens they take their prompt for, instead of the estimate from the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate_header: Option<String>,
    /// The header in which its clients say who pays, a number, instead of `tenant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_header: Option<String>,
    /// The header in which its clients bring the random number (64 bits, decimal) by which policies that draw decide, so that a
    /// load driver meets the draws of its simulation. Whoever may set it chooses whether it is let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw_header: Option<String>,
    /// Whether the API searches before it answers, which it bills as tokens. Default false.
    #[serde(default)]
    pub grounded: bool,
    /// Its vantage policy. Default `NONE`.
    #[serde(default)]
    pub vantage: Vantage,
    /// Where its proxy stands. Default US.
    #[serde(default)]
    pub country: Country,
    /// How its proxy is chosen. Default rotating.
    #[serde(default)]
    pub proxy_mode: ProxyMode,
}

impl Default for Serve {
    fn default() -> Self {
        let count = |count: u32| Count::new(count).expect("a constant of this file above 0");
        Self {
            metrics_prefix: "plimsoll_".to_owned(),
            share: Fraction::new(1.0).expect("1 is a fraction"),
            idle_timeout: Span::from_secs(60),
            first_byte_timeout: None,
            connect_timeout: Span::from_secs(5),
            upstream_keep_alive: Span::from_secs(4),
            header_timeout: Span::from_secs(30),
            body_timeout: Span::from_secs(30),
            write_timeout: Span::from_secs(60),
            body_bytes_max: count(64 << 20),
            header_bytes_max: count(64 << 10),
            headers_max: count(100),
            connections_max: count(20_000),
            bytes_per_token: Positive::new(4.0).expect("4 is above 0"),
            default_max_tokens: count(1024),
            passthrough: true,
            admin_token_env: None,
            journal_segment_bytes: count(64 << 20),
            journal_segments_max: count(64),
            class: Vec::new(),
        }
    }
}

impl ClassRule {
    /// What its requests ask of a metered API.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        Profile { grounded: self.grounded, vantage: self.vantage, country: self.country, proxy_mode: self.proxy_mode }
    }
}

impl Serve {
    /// The classes' names, by position; the last is that of those who fit none.
    #[must_use]
    pub fn class_names(&self) -> Vec<String> {
        self.class.iter().map(|class| class.name.clone()).chain([OTHER.to_owned()]).collect()
    }

    /// The policies with this process's share of what they give out by rate. At least one token or request is left.
    #[must_use]
    pub fn shared(&self, settings: &Settings) -> Settings {
        let share = self.share.value();
        let mut shared = settings.clone();
        if share < 1.0 {
            if let Some(limiter) = &mut shared.limiter {
                limiter.tpm_limit = part(limiter.tpm_limit, share);
            }
            if let Some(lane) = &mut shared.lane {
                lane.min_remaining_tokens = lane.min_remaining_tokens.map(|tokens| part(tokens, share));
            }
            if let Some(rate) = &mut shared.rate_limit {
                rate.requests = part(rate.requests, share);
                rate.burst = rate.burst.map(|burst| part(burst, share));
            }
        }
        shared
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share of a u32
fn part(whole: Count, share: f64) -> Count {
    let part = (f64::from(whole.value()) * share).floor() as u32;
    Count::new(part.max(1)).expect("at least 1")
}

/// Smallest buffer that hyper takes for a head.
const HEADER_BYTES_MIN: u32 = 8192;

impl Section for Serve {
    const KEY: &'static str = "serve";

    fn complaints(&self, _: &Settings) -> Vec<Complaint> {
        let mut found = Vec::new();
        let mut say = |path: String, message: String, help: &str| {
            found.push(Complaint { path, message, help: help.to_owned() });
        };
        if self.share.value() <= 0.0 {
            say("serve.share".to_owned(), "a share of nothing".to_owned(), "write one over the number of gateways, like 0.5");
        }
        if self.header_bytes_max.value() < HEADER_BYTES_MIN {
            let message = format!("{} bytes are too few for a head", self.header_bytes_max.value());
            say("serve.header_bytes_max".to_owned(), message, "write at least 8192");
        }
        for (name, span) in self.timeouts() {
            if span == Span::ZERO {
                say(
                    format!("serve.{name}"),
                    format!("`{name}` of 0 lets nothing through"),
                    "write a time above 0, like \"30s\"",
                );
            }
        }
        if !self.metrics_prefix.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
            || self.metrics_prefix.starts_with(|c: char| c.is_ascii_digit())
        {
            let message = format!("`{}` cannot begin a metric's name", self.metrics_prefix);
            say("serve.metrics_prefix".to_owned(), message, "letters, digits and `_`, like \"plimsoll_\"");
        }
        for (index, class) in self.class.iter().enumerate() {
            let path = format!("serve.class[{index}]");
            if class.name == OTHER {
                let message = format!("`{OTHER}` is what those are called who fit no class");
                say(format!("{path}.name"), message, "give it another name");
            } else if self.class[..index].iter().any(|other| other.name == class.name) {
                say(format!("{path}.name"), format!("there is a class `{}` already", class.name), "give each its own name");
            }
            class.complain(&path, &mut say);
        }
        found
    }
}

/// Name of the class of those who fit none.
pub const OTHER: &str = "other";
/// Hexadecimal digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

impl Serve {
    fn timeouts(&self) -> [(&'static str, Span); 6] {
        [
            ("idle_timeout", self.idle_timeout),
            ("first_byte_timeout", self.first_byte_timeout.unwrap_or(Span::FOREVER)),
            ("connect_timeout", self.connect_timeout),
            ("header_timeout", self.header_timeout),
            ("body_timeout", self.body_timeout),
            ("write_timeout", self.write_timeout),
        ]
    }
}

impl ClassRule {
    fn complain(&self, path: &str, say: &mut impl FnMut(String, String, &str)) {
        const HEADER: &str = "letters, digits and `-`, like \"x-tier\"";
        for name in self.header.keys() {
            if hyper::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
                say(format!("{path}.header"), format!("`{name}` is not a header's name"), HEADER);
            }
        }
        let named = [
            ("deadline_header", &self.deadline_header),
            ("limit_header", &self.limit_header),
            ("estimate_header", &self.estimate_header),
            ("tenant_header", &self.tenant_header),
            ("draw_header", &self.draw_header),
        ];
        for (field, name) in named.into_iter().filter_map(|(field, name)| Some((field, name.as_ref()?))) {
            if hyper::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
                say(format!("{path}.{field}"), format!("`{name}` is not a header's name"), HEADER);
            }
        }
        if let Some(key) = &self.key_sha256 {
            let digits = key.strip_suffix('*').unwrap_or(key);
            let whole = digits.len() == SHA256_DIGITS || (key.ends_with('*') && (8..SHA256_DIGITS).contains(&digits.len()));
            if !whole || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
                let help =
                    "write 64 hexadecimal digits (`printf %s \"$KEY\" | sha256sum`), or 8 of them and more with `*` behind";
                say(format!("{path}.key_sha256"), "this is not a SHA-256".to_owned(), help);
            }
        }
        if self.path.as_deref().is_some_and(|path| !path.starts_with('/')) {
            say(format!("{path}.path"), "a path begins with `/`".to_owned(), "like \"/v1/embeddings\"");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse_settings_and;

    fn read(text: &str) -> Result<(Settings, Serve), String> {
        parse_settings_and::<Serve>("a.toml", text).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn a_section_beside_settings_in_either_form() {
        let serve = "[serve]\nidle_timeout = \"9s\"\n[[serve.class]]\nname = \"chat\"\nheader = { x-tier = \"gold\" }\n";
        let (content, one) = read(&format!("[queue]\nmax_queue_size = 7\n{serve}")).unwrap();
        let (table, other) = read(&format!("[policy.queue]\nmax_queue_size = 7\n{serve}")).unwrap();
        assert_eq!((&content, &one), (&table, &other));
        assert_eq!(content.queue.map(|queue| queue.max_queue_size.value()), Some(7));
        assert_eq!((one.idle_timeout, one.class[0].name.as_str()), (Span::from_secs(9), "chat"));
        assert_eq!(read("[policy]\n").unwrap(), (Settings::default(), Serve::default()));
        assert!(["", "\n# nothing yet\n"].iter().all(|text| read(text).unwrap_err().contains("`a.toml` says nothing")));
    }

    #[test]
    fn every_setting_stands_in_the_document() {
        let told = include_str!("../../../docs/SERVE.md");
        let schema = crate::scenario::schema::publish_of::<Serve>();
        let keys = |of: &serde_json::Value| {
            of["properties"].as_object().expect("it has keys").keys().cloned().collect::<Vec<String>>()
        };
        for key in keys(&schema).into_iter().chain(keys(&schema["$defs"]["ClassRule"])) {
            let (alone, row) = (format!("`{key}`"), format!("[[serve.{key}]]"));
            assert!(told.contains(&alone) || told.contains(&row), "docs/SERVE.md says nothing of `{key}`");
        }
    }

    #[test]
    fn mistakes_name_their_place() {
        let unknown = read("[policy]\n[serve]\nidle_timeot = \"3s\"\n").unwrap_err();
        assert!(unknown.contains("a.toml:3:1") && unknown.contains("did you mean `idle_timeout`?"), "{unknown}");
        let twice = read("[[serve.class]]\nname = \"a\"\n[[serve.class]]\nname = \"a\"\nkey_sha256 = \"12\"\n").unwrap_err();
        assert!(twice.contains("a.toml:4:8") && twice.contains("a.toml:5:14"), "{twice}");
        let name = read("[[serve.class]]\nname = \"other\"\n").unwrap_err();
        assert!(name.contains("`other` is what those are called who fit no class"), "{name}");
        let zero = read("[serve]\nshare = 0\nwrite_timeout = \"0s\"\n").unwrap_err();
        assert!(zero.contains("a.toml:2:9") && zero.contains("a.toml:3:17"), "{zero}");
    }

    #[test]
    fn a_share_of_the_budgets() {
        let serve = Serve { share: Fraction::new(0.25).unwrap(), ..Serve::default() };
        let shared = serve.shared(&Settings::seed_adapter());
        assert_eq!(shared.limiter.unwrap().tpm_limit.value(), 7_500);
        assert_eq!(shared.lane.unwrap().min_remaining_tokens.map(Count::value), Some(6_000));
        assert_eq!(shared.concurrency, Settings::seed_adapter().concurrency, "a count is each gateway's own");
    }
}
