//! Numbers that are right by construction: a setting is parsed into its range once, and never checked again.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

macro_rules! ranged {
    ($(#[$doc:meta])* $name:ident, $holds:expr, $expects:literal, $schema:tt) => {
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(f64);

        impl $name {
            /// The number, where it is in range.
            #[must_use]
            pub fn new(number: f64) -> Option<Self> {
                let holds: fn(f64) -> bool = $holds;
                holds(number).then_some(Self(number))
            }

            /// The number.
            #[must_use]
            pub const fn value(self) -> f64 {
                self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = f64::deserialize(deserializer)?;
                Self::new(number).ok_or_else(|| serde::de::Error::custom(format_args!(concat!("{} is not ", $expects), number)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

ranged!(
    /// A share, from 0 to 1.
    Fraction,
    |x| (0.0..=1.0).contains(&x),
    "a fraction from 0 to 1",
    { "type": "number", "minimum": 0, "maximum": 1 }
);
ranged!(
    /// Finite and above zero.
    Positive,
    |x| x.is_finite() && x > 0.0,
    "a number above 0",
    { "type": "number", "exclusiveMinimum": 0 }
);
ranged!(
    /// Finite and at least zero.
    NonNegative,
    |x| x.is_finite() && x >= 0.0,
    "a number of at least 0",
    { "type": "number", "minimum": 0 }
);

/// A number of things of which there must be at least one.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Count(u32);

impl Count {
    /// The count, where it is at least 1.
    #[must_use]
    pub const fn new(count: u32) -> Option<Self> {
        if count == 0 { None } else { Some(Self(count)) }
    }

    /// The count.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let count = i64::deserialize(deserializer)?;
        u32::try_from(count)
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| serde::de::Error::custom(format_args!("{count} is not a whole number from 1 to {}", u32::MAX)))
    }
}

impl JsonSchema for Count {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}
