//! Probability distributions that a scenario can name, sampled portably.
//!
//! Each request has one 64-bit draw for each purpose. Where there is an inverse distribution function the sample is that
//! function of the draw: monotone, so that two scenarios that differ in a mean still meet "the same" request. The gamma
//! distribution has none in closed form: its rejection sampler runs on a stream that the draw seeds.
//! All transcendental functions are `libm`'s, so that the same bits come out on every platform.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rng::{mix, open01};
use crate::time::Span;
use crate::units::{NonNegative, Positive};

/// What a distribution is over: a length of time (`"1.5s"`) or a number of tokens (`500`).
pub trait Quantity: Copy + PartialEq + std::fmt::Debug {
    /// The quantity in its base unit, seconds or tokens.
    fn base(self) -> f64;
}

impl Quantity for Span {
    fn base(self) -> f64 {
        self.as_secs_f64()
    }
}

impl Quantity for NonNegative {
    fn base(self) -> f64 {
        self.value()
    }
}

/// A distribution of token counts.
pub type TokenDist = Dist<NonNegative>;
/// A distribution of times.
pub type SpanDist = Dist<Span>;

/// A distribution as written in a scenario: `{ dist = "exponential", mean = "1s" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "dist", rename_all = "snake_case", deny_unknown_fields, bound(deserialize = "Q: Deserialize<'de>"))]
#[schemars(bound = "Q: JsonSchema", rename = "DistOf{Q}", transform = spellings_of_fixed)]
pub enum Dist<Q> {
    /// Always the same.
    #[serde(alias = "deterministic", alias = "constant")]
    Fixed {
        /// The value.
        #[serde(alias = "mean")]
        value: Q,
    },
    /// Each value between two bounds alike.
    Uniform {
        /// Smallest.
        min: Q,
        /// Largest (itself included, for tokens).
        max: Q,
    },
    /// Normal, clamped to its bounds.
    Normal {
        /// Mean before clamping.
        mean: Q,
        /// Standard deviation before clamping.
        sd: Q,
        /// Smallest.
        min: Q,
        /// Largest.
        max: Q,
    },
    /// Lognormal, by its mean and the standard deviation of its logarithm.
    Lognormal {
        /// Mean of the distribution itself.
        mean: Q,
        /// Standard deviation of the logarithm.
        sigma: Positive,
        /// Largest; larger samples are clamped to it.
        #[serde(default)]
        max: Option<Q>,
    },
    /// Exponential.
    Exponential {
        /// Mean.
        mean: Q,
    },
    /// Gamma, by its mean and coefficient of variation.
    Gamma {
        /// Mean.
        mean: Q,
        /// Coefficient of variation: standard deviation over mean.
        cv: Positive,
    },
    /// Empirical: uniform inside each bin, bins drawn by weight.
    Histogram {
        /// Bin edges, increasing: one more than there are weights.
        edges: Vec<Q>,
        /// Weight of each bin, not all zero.
        weights: Vec<NonNegative>,
    },
}

/// Writes the other spellings that serde takes for a fixed value into its schema: `deterministic` and `constant` for the
/// name, `mean` for the value (exactly one of the two, hence two properties in all).
fn spellings_of_fixed(schema: &mut schemars::Schema) {
    let Some(fixed) = schema.as_object_mut().and_then(|object| object["oneOf"].get_mut(0)?.as_object_mut()) else { return };
    let properties = &mut fixed["properties"];
    properties["mean"] = properties["value"].clone();
    properties["dist"] = serde_json::json!({ "type": "string", "enum": ["fixed", "deterministic", "constant"] });
    fixed["required"] = serde_json::json!(["dist"]);
    fixed.insert("minProperties".to_owned(), 2.into());
    fixed.insert("maxProperties".to_owned(), 2.into());
}

impl<Q: Quantity> Dist<Q> {
    /// What is inconsistent about the parameters, if anything.
    ///
    /// # Errors
    /// A sentence for a person: what is wrong and what would be right.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Uniform { min, max } | Self::Normal { min, max, .. } if min.base() > max.base() => {
                Err("`min` is above `max`: swap them".to_owned())
            }
            Self::Exponential { mean } | Self::Gamma { mean, .. } | Self::Lognormal { mean, .. } if mean.base() <= 0.0 => {
                Err("`mean` must be above 0".to_owned())
            }
            Self::Histogram { edges, weights } => {
                if edges.len() != weights.len() + 1 {
                    return Err(format!(
                        "a histogram needs one edge more than weights: {} edges for {} weights",
                        edges.len(),
                        weights.len()
                    ));
                }
                if !edges.windows(2).all(|pair| pair[0].base() < pair[1].base()) {
                    return Err("`edges` must increase".to_owned());
                }
                if weights.iter().all(|weight| weight.value() == 0.0) {
                    return Err("all `weights` are zero: at least one must be above 0".to_owned());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The mean in the base unit (of the unclamped distribution).
    #[must_use]
    pub fn mean(&self) -> f64 {
        match self {
            Self::Fixed { value } => value.base(),
            Self::Uniform { min, max } => f64::midpoint(min.base(), max.base()),
            Self::Normal { mean, .. }
            | Self::Lognormal { mean, .. }
            | Self::Exponential { mean }
            | Self::Gamma { mean, .. } => mean.base(),
            Self::Histogram { edges, weights } => {
                let total: f64 = weights.iter().map(|weight| weight.value()).sum();
                let bins = edges.windows(2).zip(weights);
                bins.map(|(edge, weight)| f64::midpoint(edge[0].base(), edge[1].base()) * weight.value()).sum::<f64>() / total
            }
        }
    }

    /// Whether every sample is the same, so that no draw is needed.
    #[must_use]
    pub const fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed { .. })
    }

    /// The sample that `bits` stands for, in the base unit, at least 0.
    #[must_use]
    pub fn sample(&self, bits: u64) -> f64 {
        match self {
            Self::Fixed { value } => value.base(),
            Self::Uniform { min, max } => (max.base() - min.base()).mul_add(open01(bits), min.base()),
            Self::Normal { mean, sd, min, max } => {
                (mean.base() + sd.base() * standard_normal(bits)).clamp(min.base(), max.base())
            }
            Self::Lognormal { mean, sigma, max } => {
                let sigma = sigma.value();
                let sample = mean.base() * libm::exp(sigma * standard_normal(bits) - sigma * sigma / 2.0);
                max.map_or(sample, |max| sample.min(max.base()))
            }
            Self::Exponential { mean } => mean.base() * standard_exponential(bits),
            Self::Gamma { mean, cv } => {
                let shape = 1.0 / (cv.value() * cv.value());
                mean.base() / shape * standard_gamma(shape, &mut Sequence::new(bits))
            }
            Self::Histogram { edges, weights } => sample_histogram(edges, weights, open01(bits)),
        }
    }

    /// The sample as a whole number of tokens, at least 1. A uniform distribution gives each whole number alike.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
    pub fn sample_tokens(&self, bits: u64) -> u32 {
        let sample = match self {
            Self::Uniform { min, max } => {
                libm::floor((max.base() - min.base() + 1.0).mul_add(open01(bits), min.base())).min(max.base())
            }
            _ => libm::round(self.sample(bits)),
        };
        (sample as u32).max(1)
    }
}

fn sample_histogram<Q: Quantity>(edges: &[Q], weights: &[NonNegative], uniform: f64) -> f64 {
    let total: f64 = weights.iter().map(|weight| weight.value()).sum();
    let mut left = uniform * total;
    for (edge, weight) in edges.windows(2).zip(weights) {
        let weight = weight.value();
        if left < weight {
            return (edge[1].base() - edge[0].base()).mul_add(left / weight, edge[0].base());
        }
        left -= weight;
    }
    edges.last().map_or(0.0, |edge| edge.base()) // rounding only: the weights sum to `total`
}

/// A sequence of uniform draws that one 64-bit draw stands for.
#[derive(Clone, Debug)]
pub struct Sequence {
    seed: u64,
    next: u64,
}

impl Sequence {
    /// The sequence seeded by `bits`.
    #[must_use]
    pub const fn new(bits: u64) -> Self {
        Self { seed: bits, next: 0 }
    }

    /// The next 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        let bits = mix(self.seed, self.next);
        self.next += 1;
        bits
    }
}

/// Exponential with mean 1, by inversion.
#[must_use]
pub fn standard_exponential(bits: u64) -> f64 {
    -libm::log(open01(bits))
}

/// Weibull with mean 1, by inversion; `shape` above 0, 1 being the exponential.
#[must_use]
pub fn standard_weibull(shape: f64, bits: u64) -> f64 {
    libm::pow(standard_exponential(bits), 1.0 / shape) / libm::tgamma(1.0 + 1.0 / shape)
}

/// Gamma with scale 1, by rejection (Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS
/// 26:3, 2000); `shape` above 0.
pub fn standard_gamma(shape: f64, draws: &mut Sequence) -> f64 {
    if shape < 1.0 {
        let boost = libm::pow(open01(draws.bits()), 1.0 / shape);
        return standard_gamma(shape + 1.0, draws) * boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let x = standard_normal(draws.bits());
        let v = 1.0 + c * x;
        if v <= 0.0 {
            continue;
        }
        let v = v * v * v;
        let u = open01(draws.bits());
        if libm::log(u) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

/// Standard normal by inversion: Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied
/// Statistics 37:3, 1988, PPND16 (relative accuracy about 1e-16).
#[must_use]
pub fn standard_normal(bits: u64) -> f64 {
    let p = open01(bits);
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.425 * 0.425 - q * q;
        return q * poly(&AS241_A, r) / poly(&AS241_B, r);
    }
    let r = libm::sqrt(-libm::log(if q < 0.0 { p } else { 1.0 - p }));
    let tail = if r <= 5.0 {
        poly(&AS241_C, r - 1.6) / poly(&AS241_D, r - 1.6)
    } else {
        poly(&AS241_E, r - 5.0) / poly(&AS241_F, r - 5.0)
    };
    if q < 0.0 { -tail } else { tail }
}

fn poly(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

// The published coefficients of AS 241, lowest power first.
const AS241_A: [f64; 8] = [
    3.387_132_872_796_366_5,
    133.141_667_891_784_38,
    1_971.590_950_306_551_3,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const AS241_B: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_545,
];
const AS241_C: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    7.745_450_142_783_414e-4,
];
const AS241_D: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    5.475_938_084_995_345e-4,
    1.050_750_071_644_416_9e-9,
];
const AS241_E: [f64; 8] = [
    6.657_904_643_501_103,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    0.296_560_571_828_504_87,
    0.026_532_189_526_576_124,
    0.001_242_660_947_388_078_4,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const AS241_F: [f64; 8] = [
    1.0,
    0.599_832_206_555_888,
    0.136_929_880_922_735_8,
    0.014_875_361_290_850_615,
    7.868_691_311_456_133e-4,
    1.846_318_317_510_054_7e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_8e-15,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_variance(mut sample: impl FnMut(u64) -> f64) -> (f64, f64) {
        let n = 200_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for i in 0..n {
            let x = sample(mix(99, i));
            sum += x;
            squares += x * x;
        }
        let mean = sum / n as f64;
        (mean, squares / n as f64 - mean * mean)
    }

    #[test]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn the_normal_inverse_has_published_percentage_points() {
        let at = |p: f64| standard_normal(((p * (1u64 << 52) as f64) as u64) << 12);
        assert!((at(0.975) - 1.959_963_984_540_054).abs() < 1e-9);
        assert!((at(0.5)).abs() < 1e-9);
        assert!((at(0.001) + 3.090_232_306_167_814).abs() < 1e-9);
        assert!((at(1e-9) + 5.997_807_015_008).abs() < 1e-4); // the draw's own grain is 2e-16 / density here
    }

    #[test]
    fn samples_have_the_moments_of_their_distribution() {
        let close = |(mean, variance): (f64, f64), (m, v): (f64, f64)| {
            assert!(
                (mean - m).abs() < 0.02 * m.max(1.0) && (variance - v).abs() < 0.06 * v.max(0.1),
                "{mean} {variance}, not {m} {v}"
            );
        };
        close(mean_and_variance(standard_exponential), (1.0, 1.0));
        close(mean_and_variance(standard_normal), (0.0, 1.0));
        for shape in [0.3, 1.0, 4.0] {
            close(mean_and_variance(|bits| standard_gamma(shape, &mut Sequence::new(bits))), (shape, shape));
        }
        close(mean_and_variance(|bits| standard_weibull(2.0, bits)), (1.0, 4.0 / std::f64::consts::PI - 1.0));
        let lognormal = Dist::Lognormal { mean: Span::from_secs(2), sigma: Positive::new(0.5).unwrap(), max: None };
        close(mean_and_variance(|bits| lognormal.sample(bits)), (2.0, 4.0 * (0.25f64.exp() - 1.0)));
    }

    #[test]
    fn uniform_tokens_reach_both_ends_and_no_further() {
        let token = |n: f64| NonNegative::new(n).unwrap();
        let dist = Dist::Uniform { min: token(3.0), max: token(5.0) };
        let mut seen = [0u32; 8];
        for i in 0..3_000 {
            seen[dist.sample_tokens(mix(1, i)) as usize] += 1;
        }
        assert!(seen[3] > 800 && seen[4] > 800 && seen[5] > 800 && seen.iter().sum::<u32>() == seen[3] + seen[4] + seen[5]);
    }

    #[test]
    fn a_histogram_draws_its_bins_by_weight() {
        let token = |n: f64| NonNegative::new(n).unwrap();
        let dist = Dist::Histogram { edges: vec![token(0.0), token(10.0), token(20.0)], weights: vec![token(1.0), token(3.0)] };
        let (mean, _) = mean_and_variance(|bits| dist.sample(bits));
        assert!((mean - dist.mean()).abs() < 0.1 && (dist.mean() - 12.5).abs() < 1e-12);
    }
}
