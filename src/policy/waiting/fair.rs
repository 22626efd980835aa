//! Weighted fair queueing on tokens between classes: start-time fair queueing (Goyal, Vin, Cheng, "Start-time fair
//! queuing", SIGCOMM 1996), with the attempts that start as packets and their estimated tokens as lengths.
//!
//! An attempt of class `c` gets the start tag `S = max(v, F_c)`, with the virtual time `v` when it comes in and the finish
//! tag `F_c` of its class's attempt before it; its own finish tag is `F = S + tokens / weight_c`. The smallest start tag goes
//! first, of equal ones the oldest attempt; `v` is the start tag of whoever started last.
//!
//! **Tags belong to classes here, not to attempts.** While a class has somebody waiting, `v` does not pass the start tag of
//! its head, so that the head's tag is `max(v, F_c)` *as of now*, whenever it came in, where `F_c` is that of the class's
//! attempt that *started* last. So an attempt that expires or whose client leaves costs its class nothing, and nothing has
//! to be mended.
//!
//! **The bound** (theorem 1 of the paper): over any time in which somebody of both classes `f` and `g` waits, the tokens
//! that start, over the weights, differ by at most `l_f / weight_f + l_g / weight_g`, where `l` is the largest attempt. It
//! holds however many slots there are, as only the order of starts is looked at.
//!
//! What a class has had beyond its share when the queue runs empty it owes afterwards too: one attempt at most.

use serde::{Deserialize, Serialize};

use crate::units::Positive;

/// Virtual time for one token at weight 1: whole weights up to 16 divide it, and powers of two down to 2^-20 are exact too.
const UNIT: u64 = 720_720 << 12;

/// Bounds of [`UNIT`] over a weight: of attempts of 2^33 tokens at the least weight, 2^43 fit into the virtual time.
const RATE: (u64, u64) = (1, 1 << 52);

/// Whose turn it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Fair {
    /// Start tag of the attempt that started last.
    now: u128,
    classes: Vec<Class>,
}

#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
struct Class {
    /// Finish tag of the attempt that started last.
    finish: u128,
    /// Virtual time for one token.
    rate: u64,
}

impl Fair {
    /// Weights by class, 1 where there is none, for `classes` classes. What a class has had beyond its share it goes on
    /// owing, in tokens.
    pub fn set_weights(&mut self, weights: &[Positive], classes: usize) {
        self.classes.resize(classes, Class::default());
        for (index, class) in self.classes.iter_mut().enumerate() {
            let rate = weights.get(index).map_or(UNIT, |weight| rate(*weight));
            let owed = class.finish.saturating_sub(self.now) / u128::from(class.rate.max(1));
            class.finish = self.now + owed * u128::from(rate);
            class.rate = rate;
        }
    }

    /// The start tag of the class's head, waiting or still to come.
    pub fn tag(&self, class: usize) -> u128 {
        self.now.max(self.classes[class].finish)
    }

    /// The start tag of the class's next attempt after another `tokens`.
    pub fn tag_after(&self, class: usize, tokens: u64) -> u128 {
        self.tag(class) + self.length(class, tokens)
    }

    /// How many of the `waiting` attempts of a class, of `tokens` in all, go before a later one with start tag `tag`.
    pub fn turns_until(&self, tag: u128, class: usize, waiting: u32, tokens: u64) -> u32 {
        let head = self.tag(class);
        if head > tag {
            return 0;
        }
        // The attempt after k others, of mean length, has the tag head + k x length / waiting.
        let before = (tag - head).saturating_mul(u128::from(waiting)) / self.length(class, tokens).max(1) + 1;
        u32::try_from(before).map_or(waiting, |before| before.min(waiting))
    }

    /// An attempt of the class starts.
    pub fn serve(&mut self, class: usize, tokens: u64) {
        self.now = self.tag(class);
        self.classes[class].finish = self.now + self.length(class, tokens);
    }

    fn length(&self, class: usize, tokens: u64) -> u128 {
        u128::from(tokens) * u128::from(self.classes[class].rate)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive, and `as` saturates
fn rate(weight: Positive) -> u64 {
    (libm::round(UNIT as f64 / weight.value()) as u64).clamp(RATE.0, RATE.1)
}
