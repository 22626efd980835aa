//! Where an upstream is.

use std::fmt;

use hyper::Uri;
use hyper::header::HeaderValue;

/// An upstream's address: scheme, host, port and the path before all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether it is behind TLS.
    pub tls: bool,
    /// Its host: a name or an address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What stands before each path: empty, or `/base` without a slash behind.
    pub base: String,
    authority: String,
}

/// Why a text is not an upstream's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an upstream's address: {why}; write it like http://127.0.0.1:8000 or https://api.example.com/v1-base")]
pub struct BadTarget {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl std::str::FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let bad = |why| BadTarget { text: text.to_owned(), why };
        let uri: Uri = text.parse().map_err(|_| bad("it is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(bad("only http and https can be spoken")),
            None => return Err(bad("it says neither http:// nor https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("names and passwords in an address end up in logs"));
        }
        if uri.query().is_some() {
            return Err(bad("it has a query"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(bad("it names no host"));
        }
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str() != authority.host() => return Err(bad("its port is none")),
            None if tls => 443,
            None => 80,
        };
        let base = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { tls, host, port, base, authority: authority.as_str().to_owned() })
    }
}

impl Target {
    /// What the `host` header says.
    ///
    /// # Panics
    /// Never: an authority is visible ASCII.
    #[must_use]
    pub fn host_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.authority).expect("an authority is visible ASCII")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "https" } else { "http" }, self.authority, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let target: Target = "https://api.example.com/base/".parse().unwrap();
        assert_eq!(
            (target.tls, target.host.as_str(), target.port, target.base.as_str()),
            (true, "api.example.com", 443, "/base")
        );
        assert_eq!(target.to_string(), "https://api.example.com/base");
        let six: Target = "http://[::1]:8000".parse().unwrap();
        assert_eq!((six.host.as_str(), six.port, six.base.as_str()), ("::1", 8000, ""));
        assert_eq!(six.host_header(), "[::1]:8000");
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, why) in [
            ("127.0.0.1:8000", "neither"),
            ("localhost", "neither"),
            ("ftp://a", "only http"),
            ("http://a?b=c", "query"),
            ("http://me:secret@a", "passwords"),
            ("http://a b", "no URL"),
            ("http://a:99999", "port"),
            ("", "no URL"),
        ] {
            let wrong = text.parse::<Target>().unwrap_err().to_string();
            assert!(wrong.contains(why), "{text}: {wrong}");
        }
    }
}
