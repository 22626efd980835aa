//! The engine contract: what every gate of the stack promises to the [`Gateway`](super::Gateway), stated once.

use super::{Mode, Saw, Verdict};
use crate::time::{Span, Time};

/// What a gate is asked about: an attempt, and what stands around it, as of `now`.
#[derive(Copy, Clone, Debug)]
pub(super) struct Asked {
    /// As of when.
    pub now: Time,
    /// When the attempt arrived.
    pub arrived: Time,
    /// When an answer is of no use any more; [`Time::FAR`] where nothing bounds it.
    pub deadline: Time,
    /// How long the attempt may take by its timeout and by its client's word; [`Span::FOREVER`] where neither says.
    pub budget: Span,
    /// Estimated input and `max_tokens` together.
    pub tokens: u64,
    /// The attempt's 64 random bits.
    pub draw: u64,
    /// Whether the attempt cannot start at once.
    pub must_wait: bool,
    /// How long it would have to wait, as far as that can be predicted; zero where it cannot.
    pub predicted_wait: Span,
    /// Smoothed mean service time, once there is one.
    pub service: Option<Span>,
}

/// One gate of the stack.
///
/// - **Asking decides and takes nothing.** [`ask`](Self::ask) answers *pass*, *wait* or *refuse*, and may learn from being
///   asked. The gateway asks a gate at most once at arrival and once each time it would start the attempt.
/// - **Taking is separate.** When an attempt goes through a gate that hands something out, whether the gate passed it or
///   only observes, the gateway calls [`take`](Self::take), keeps the [`Hold`](Self::Hold), and calls
///   [`give_back`](Self::give_back) with it exactly once, on every way out. A hold is neither `Copy` nor `Clone`.
/// - **Only the gateway parks.** A gate that answers *wait* keeps no list: order, expiry and cancellation exist once.
/// - **Time** comes in with the question and never runs back (INV-2). A gate owns no clock and no timer: what must happen
///   at a time of its own is a timer in the gateway's one heap, which runs due work, as of when it was due, before it
///   looks at any new input. So a late wake-up and a punctual one decide alike.
/// - **No randomness of its own** (the draw comes with the attempt), no allocation, no oracle data (INV-7).
/// - **New settings** (each gate's `reconfigure`) change no hold that is out, and keep learned state where the kind of the
///   engine is unchanged.
pub(super) trait Engine {
    /// What an attempt that went through holds until it is given back.
    type Hold;

    /// What the gateway does with the answers.
    fn mode(&self) -> Mode;

    /// Whether the attempt may go on.
    fn ask(&mut self, asked: &Asked) -> Verdict;

    /// The attempt goes through.
    fn take(&mut self, asked: &Asked) -> Self::Hold;

    /// A hold comes back.
    fn give_back(&mut self, hold: Self::Hold);

    /// The numbers behind the latest answer: called right after [`ask`](Self::ask), and only where somebody listens.
    fn saw(&self, asked: &Asked) -> Saw;
}
