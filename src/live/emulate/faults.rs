//! Faults on request: for one request by a header, for a share of all by a setting that can be changed while the server runs.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::rng::{mix, open01};
use crate::time::Span;
use crate::units::{Fraction, Positive};

/// Header with which a request asks for its own fault.
pub const HEADER: &str = "x-plimsoll-fault";

/// What goes wrong with a request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Refused at once with this status.
    Status(u16),
    /// A stream that begins with status 200 and holds nothing but an error event with this code.
    InBand(u16),
    /// The connection is closed after so many tokens (0: before the status line), without an end.
    Reset(u32),
    /// Nothing more comes after so many tokens (0: not even a status line), and the connection stays open.
    Hang(u32),
    /// The first byte is held back for so long; what the model has produced by then comes at once.
    Slow(Span),
    /// Status 200 and bytes that mean nothing.
    Garbage,
}

/// Why a text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fault: write status=500, in-band=503, reset, reset=TOKENS, hang, hang=TOKENS, slow=2s or garbage")]
pub struct NotAFault(pub String);

impl FromStr for Fault {
    type Err = NotAFault;

    fn from_str(text: &str) -> Result<Self, NotAFault> {
        let wrong = || NotAFault(text.to_owned());
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name.trim(), Some(value.trim())));
        let tokens = || value.map_or(Ok(0), str::parse).map_err(|_| wrong());
        let status = || value.and_then(|value| value.parse().ok()).filter(|status| (400..600).contains(status));
        match (name.trim(), value) {
            ("status", _) => status().map(Self::Status).ok_or_else(wrong),
            ("in-band", _) => status().map(Self::InBand).ok_or_else(wrong),
            ("reset", _) => tokens().map(Self::Reset),
            ("hang", _) => tokens().map(Self::Hang),
            ("slow", Some(value)) => value.parse().map(Self::Slow).map_err(|_| wrong()),
            ("garbage", None) => Ok(Self::Garbage),
            _ => Err(wrong()),
        }
    }
}

/// The faults in force, as `PUT /faults` takes them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// What goes wrong, as the header says it; nothing where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// With how many of the requests, drawn by number. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Fraction>,
    /// How many times as fast as the model says the server works from now on. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Positive>,
    /// Whether the model stands still. Default false.
    #[serde(default)]
    pub frozen: bool,
}

/// Least and greatest speed: the model's whole costs stay within what it can count.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.001..=1000.0;

impl Faults {
    /// Reads a body of `PUT /faults`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let faults: Self = serde_json::from_slice(body).map_err(|error| format!("no faults: {error}"))?;
        if let Some(fault) = &faults.fault {
            fault.parse::<Fault>().map_err(|error| error.to_string())?;
        }
        match faults.speed {
            Some(speed) if !SPEEDS.contains(&speed.value()) => {
                Err(format!("`speed` = {speed} is not from {} to {}", SPEEDS.start(), SPEEDS.end()))
            }
            _ => Ok(faults),
        }
    }

    /// What goes wrong with request number `number` under this seed, if something does.
    #[must_use]
    pub fn of(&self, seed: u64, number: u64) -> Option<Fault> {
        let fault = self.fault.as_ref()?.parse().ok()?;
        let share = self.share.map_or(1.0, Fraction::value);
        (open01(mix(seed, number)) < share).then_some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_as_they_are_written() {
        for (text, fault) in [
            ("status=503", Fault::Status(503)),
            ("in-band=503", Fault::InBand(503)),
            ("reset", Fault::Reset(0)),
            ("reset=3", Fault::Reset(3)),
            ("hang = 2", Fault::Hang(2)),
            ("slow=1.5s", Fault::Slow(Span::from_millis(1500))),
            ("garbage", Fault::Garbage),
        ] {
            assert_eq!(text.parse(), Ok(fault), "{text}");
        }
        for text in ["", "status", "status=200", "status=9999", "reset=-1", "slow", "slow=fast", "garbage=1", "fire"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_of_the_requests_is_hit_and_always_the_same() {
        let faults = Faults::read(br#"{"fault":"status=500","share":0.3}"#).expect("faults");
        let hit: Vec<u64> = (0..1000).filter(|number| faults.of(7, *number).is_some()).collect();
        assert!((250..350).contains(&hit.len()), "{}", hit.len());
        assert!(hit.iter().all(|number| faults.of(7, *number) == Some(Fault::Status(500))));
        assert_eq!(Faults::read(b"{}"), Ok(Faults::default()));
        assert_eq!(Faults::default().of(7, 0), None);
        for wrong in [&b"{\"fault\":\"fire\"}"[..], b"{\"speed\":0}", b"{\"speed\":1e9}", b"{\"sped\":1}", b"[", b""] {
            assert!(Faults::read(wrong).is_err());
        }
    }
}
