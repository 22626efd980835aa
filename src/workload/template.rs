//! What all requests of a class have in common, lowered from its settings so that a request costs few draws and no lookup.

use std::sync::Arc;

use super::profile::Asks;
use super::source::Recorded;
use super::{ClassSettings, SourceSettings};
use crate::dist::{SpanDist, TokenDist, standard_exponential, standard_normal};
use crate::request::{ClassId, Prefix, Profile, Request, RequestId};
use crate::rng::{Draws, Purpose};
use crate::time::{Span, Time};
use crate::units::NonNegative;

/// A length of time that is the same for all, or drawn.
#[derive(Clone, Debug)]
pub(super) enum Duration {
    Fixed(Span),
    /// Mean in seconds.
    Exponential(f64),
    Drawn(Box<SpanDist>),
}

impl Duration {
    pub(super) fn new(dist: &SpanDist) -> Self {
        match dist {
            SpanDist::Fixed { value } => Self::Fixed(*value),
            SpanDist::Exponential { mean } => Self::Exponential(mean.as_secs_f64()),
            _ => Self::Drawn(Box::new(dist.clone())),
        }
    }

    const fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    /// The span that the random bits stand for; they are asked for only where they matter.
    #[inline]
    pub(super) fn sample_with(&self, bits: impl FnOnce() -> u64) -> Span {
        match self {
            Self::Fixed(span) => *span,
            Self::Exponential(mean) => Span::from_secs_f64(mean * standard_exponential(bits())),
            Self::Drawn(dist) => Span::from_secs_f64(dist.sample(bits())),
        }
    }
}

/// A number of tokens that is the same for all, or drawn.
#[derive(Clone, Debug)]
enum Length {
    Fixed(u32),
    Drawn(Box<TokenDist>),
}

impl Length {
    fn new(dist: Option<&TokenDist>) -> Self {
        match dist {
            None => Self::Fixed(1),
            Some(dist) if dist.is_fixed() => Self::Fixed(dist.sample_tokens(0)),
            Some(dist) => Self::Drawn(Box::new(dist.clone())),
        }
    }

    #[inline]
    fn sample(&self, bits: u64) -> u32 {
        match self {
            Self::Fixed(tokens) => *tokens,
            Self::Drawn(dist) => dist.sample_tokens(bits),
        }
    }
}

/// Prompt and answer length, drawn apart or together.
#[derive(Clone, Debug)]
enum Lengths {
    Apart { input: Length, output: Length },
    Joint(Arc<[(u32, u32)]>),
}

/// Consecutive numbers, drawn alike.
#[derive(Copy, Clone, Debug)]
struct Numbers {
    first: u32,
    count: u32,
}

impl Numbers {
    /// The next `count` numbers after those that `used` counts.
    fn take(used: &mut u32, count: u32) -> Self {
        let first = *used;
        *used = used.checked_add(count).expect("checked: all fit");
        Self { first, count }
    }

    fn draw(self, bits: u64) -> u32 {
        self.first + u32::try_from(share(bits, u64::from(self.count))).expect("below the count")
    }
}

/// Which of `count` equal shares of the 64-bit numbers `bits` lies in (Lemire, "Fast random integer generation in an
/// interval", ACM TOMACS 29:1, 2019, without the rejection: the bias is below `count / 2^64`).
#[allow(clippy::cast_possible_truncation)] // the product's high half is below `count`
const fn share(bits: u64, count: u64) -> u64 {
    ((bits as u128 * count as u128) >> 64) as u64
}

/// What the requests of a class have in common.
#[derive(Clone, Debug)]
pub(super) struct Template {
    class: ClassId,
    lengths: Lengths,
    /// Whether the class says how long its answers are.
    states_answer: bool,
    estimate_sigma: f64,
    max_tokens: u32,
    service: Duration,
    patience: Option<Duration>,
    prefix: Option<(Numbers, u32)>,
    tenants: Option<Numbers>,
    /// What it asks of a metered API, where it says so.
    asks: Option<Box<Asks>>,
    purposes: Vec<Purpose>,
}

impl Template {
    /// One for each class. Prefix groups are numbered from 0 and tenants from 1, on from one class to the next.
    pub(super) fn all(settings: &SourceSettings) -> Vec<Self> {
        let (mut groups, mut tenants) = (0, 1);
        let service = settings.service.as_ref().map_or(Duration::Fixed(Span::ZERO), Duration::new);
        let classes = settings.classes.iter().enumerate();
        classes
            .map(|(index, class)| {
                let mut template = Self {
                    class: ClassId(u16::try_from(index).expect("checked: classes are numbered by a u16")),
                    lengths: lengths(class, settings),
                    states_answer: class.output.is_some() || class.lengths.is_some(),
                    estimate_sigma: class.estimate_sigma.map_or(0.0, NonNegative::value),
                    max_tokens: class.max_tokens.value(),
                    service: service.clone(),
                    patience: class.patience.as_ref().map(Duration::new),
                    prefix: class
                        .prefix
                        .map(|prefix| (Numbers::take(&mut groups, prefix.groups.value()), prefix.tokens.value())),
                    tenants: class.tenants.map(|count| Numbers::take(&mut tenants, count.value())),
                    asks: Asks::new(class),
                    purposes: Vec::new(),
                };
                template.purposes = template.needed();
                template
            })
            .collect()
    }

    /// What a request of this class draws, in order.
    pub(super) fn purposes(&self) -> &[Purpose] {
        &self.purposes
    }

    /// The request with these draws; what is `recorded` takes the place of what would be drawn.
    #[inline]
    pub(super) fn request(&self, id: RequestId, arrival: Time, recorded: Option<&Recorded>, draws: &Draws) -> Request {
        let (input, output) = match recorded {
            None => self.draw_lengths(draws),
            Some(row) => (row.input_tokens.max(1), row.output_tokens.max(1)),
        };
        let tenant = recorded.map_or(0, |row| row.tenant);
        let prefix = recorded.and_then(|row| row.prefix);
        let any = |tenants: Numbers| tenants.draw(draws.bits(Purpose::Tenant));
        let request = Request {
            id,
            class: self.class,
            tenant: if tenant > 0 { tenant } else { self.tenants.map_or(0, any) },
            arrival,
            input_tokens: input,
            input_estimate: self.estimate(input, draws),
            output_tokens: output,
            max_tokens: self.max_tokens,
            service: self.service.sample_with(|| draws.bits(Purpose::Service)),
            patience: self.patience.as_ref().map(|patience| patience.sample_with(|| draws.bits(Purpose::Patience))),
            prefix: prefix.map_or_else(|| self.prefix_of(input, draws), |prefix| Some(within(prefix, input))),
            profile: self.asks.as_ref().map_or_else(Profile::default, |asks| asks.profile(draws)),
            usage_tokens: input.saturating_add(output),
            later: draws.bits(Purpose::Later),
        };
        match &self.asks {
            None => request,
            Some(asks) => Request { usage_tokens: asks.usage(&request, draws), ..request },
        }
    }

    /// Its answer's length if nothing cuts it, tokens; `None` where the class states none (a recording has it).
    pub(super) fn answer(&self, draws: &Draws) -> Option<u32> {
        self.states_answer.then(|| self.draw_lengths(draws).1)
    }

    /// What a gateway would estimate of a prompt of this length, tokens.
    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
    fn estimate(&self, input: u32, draws: &Draws) -> u32 {
        if self.estimate_sigma == 0.0 {
            return input;
        }
        let error = libm::exp(self.estimate_sigma * standard_normal(draws.bits(Purpose::Estimate)));
        (libm::round(f64::from(input) * error) as u32).max(1)
    }

    /// What a prompt of this length shares with others.
    #[inline]
    fn prefix_of(&self, input: u32, draws: &Draws) -> Option<Prefix> {
        let (groups, tokens) = self.prefix?;
        Some(within(Prefix { group: groups.draw(draws.bits(Purpose::Prefix)), tokens }, input))
    }

    #[inline]
    fn draw_lengths(&self, draws: &Draws) -> (u32, u32) {
        match &self.lengths {
            Lengths::Apart { input, output } => {
                (input.sample(draws.bits(Purpose::Input)), output.sample(draws.bits(Purpose::Output)))
            }
            Lengths::Joint(pairs) => {
                let row = share(draws.bits(Purpose::Input), pairs.len() as u64);
                let (input, output) = pairs[usize::try_from(row).expect("below a length")];
                (input.max(1), output.max(1))
            }
        }
    }

    fn needed(&self) -> Vec<Purpose> {
        let (input, output) = match &self.lengths {
            Lengths::Apart { input, output } => (matches!(input, Length::Drawn(_)), matches!(output, Length::Drawn(_))),
            Lengths::Joint(_) => (true, false),
        };
        let several = |numbers: Option<Numbers>| numbers.is_some_and(|numbers| numbers.count > 1);
        let all = [
            (Purpose::Input, input),
            (Purpose::Output, output),
            (Purpose::Estimate, self.estimate_sigma > 0.0),
            (Purpose::Patience, self.patience.as_ref().is_some_and(|patience| !patience.is_fixed())),
            (Purpose::Service, !self.service.is_fixed()),
            (Purpose::Prefix, several(self.prefix.map(|(groups, _)| groups))),
            (Purpose::Tenant, several(self.tenants)),
            (Purpose::Later, true),
        ];
        let asked = self.asks.iter().flat_map(|asks| asks.needed());
        // After all others: sequential draws of a class without a profile stay where they are.
        all.into_iter().chain(asked).filter_map(|(purpose, needed)| needed.then_some(purpose)).collect()
    }
}

/// A prefix is at most as long as its prompt.
fn within(prefix: Prefix, input: u32) -> Prefix {
    Prefix { tokens: prefix.tokens.min(input), ..prefix }
}

fn lengths(class: &ClassSettings, settings: &SourceSettings) -> Lengths {
    match &class.lengths {
        Some(file) => {
            let (_, pairs) = settings.pairs.iter().find(|(name, _)| name == file).expect("checked: the file was read");
            Lengths::Joint(Arc::clone(pairs))
        }
        None => Lengths::Apart { input: Length::new(class.input.as_ref()), output: Length::new(class.output.as_ref()) },
    }
}
