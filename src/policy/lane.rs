//! Heavy lane (seed 002, section 2): a grounded call with vantage `ALS_ONLY` or `ALS_PLUS_PROXY` starts only into a window
//! of which at least `min_remaining` is left, and takes no slot.
//!
//! The seed's lock is released before the call, so it excludes nobody (`exclusive = "seed"`), and nothing refreshes the
//! window while it waits (`refresh = "on_reserve"`): with heavy traffic alone the second job never starts.
//!
//! What the corrected lane adds:
//!
//! - **Exclusion** while a heavy call runs: of other heavy ones, or of all. A lease ends it, so that a lost end cannot wedge
//!   the lane.
//! - **Ageing, on both sides.** A heavy attempt that has waited `heavy_max_wait` holds back all light ones, so that the
//!   window fills and running calls drain; a light one that has waited `light_max_wait` holds back all heavy ones. Where
//!   both have, whoever has waited longer goes, and the other waits: never both. A side's wait counts from its own latest
//!   start at the earliest. So a side of which somebody waits starts one call each `max_wait`, but for the other's call that
//!   runs and the window's end, however long the other side's backlog is. (By the attempts' age alone, a growing backlog of
//!   heavy attempts would soon be older than every light one, and starve them.)
//!
//! Ageing would be a deadlock with `refresh = "on_reserve"`: the light calls held back are the only ones that refresh the
//! window. And a lane that excludes nobody holds back nobody. So in either of these seed-faithful modes nothing ages.

use serde::{Deserialize, Serialize};

use super::Mode;
use super::settings::{Exclusive, HeavyLane, Refresh, StaggerScope};
use super::windows::MINUTE;
use crate::request::{Profile, Vantage};
use crate::time::{Span, Time};
use crate::units::{Count, Fraction};

/// Share of the budget that must be left by default (seed 002's `min_budget_fraction`).
const MIN_REMAINING: f64 = 0.8;

/// The lane.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lane {
    mode: Mode,
    rules: Rules,
    /// Ends of the leases of the heavy calls that run, by the place that each holds; [`Time::ZERO`] at a free place.
    leases: Vec<Time>,
    free: Vec<u32>,
    /// The latest start of a heavy call, and of a light one.
    heavy_started: Option<Time>,
    light_started: Option<Time>,
}

/// The settings, as they are looked up.
#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
struct Rules {
    min_remaining: MinRemaining,
    exclusive: Exclusive,
    refresh: Refresh,
    stagger: Span,
    stagger_scope: StaggerScope,
    lease: Span,
    /// What either side may wait before it holds back the other; absent where nothing ages.
    max_wait: Option<MaxWait>,
}

#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
enum MinRemaining {
    Share(f64),
    Tokens(i64),
}

#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
struct MaxWait {
    heavy: Span,
    light: Span,
}

/// A heavy call that runs: comes back when it ends.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LaneHold {
    place: u32,
}

/// What stands around a heavy attempt that asks.
#[derive(Copy, Clone, Debug)]
pub(super) struct LaneView {
    /// Tokens left of the window.
    pub remaining: i64,
    /// Tokens of a whole window.
    pub budget: u64,
    /// Light calls that run.
    pub light_running: u32,
    /// How long the attempt that asks has waited.
    pub heavy_waited: Span,
    /// How long the oldest light attempt that waits has.
    pub light_waited: Option<Span>,
    /// When budget next comes back.
    pub next_window: Time,
}

impl Lane {
    /// An empty lane; without settings it is off.
    pub fn new(settings: Option<&HeavyLane>) -> Self {
        let rules = Rules::of(settings.unwrap_or(&HeavyLane::default()));
        let (leases, free) = (Vec::new(), Vec::new());
        let mut new = Self { mode: Mode::Off, rules, leases, free, heavy_started: None, light_started: None };
        new.reconfigure(settings);
        new
    }

    /// New settings. Calls that run keep their leases.
    pub fn reconfigure(&mut self, settings: Option<&HeavyLane>) {
        self.mode = settings.map_or(Mode::Off, |s| s.mode);
        if let Some(settings) = settings {
            self.rules = Rules::of(settings);
        }
    }

    /// What the gateway does with the answers.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether such a call goes by the lane.
    pub fn is_heavy(&self, profile: Profile) -> bool {
        self.mode != Mode::Off && profile.grounded && matches!(profile.vantage, Vantage::AlsOnly | Vantage::AlsPlusProxy)
    }

    /// Whether waiting in the lane refreshes the limiter's window: before each look.
    pub fn refreshes(&self) -> bool {
        self.mode != Mode::Off && self.rules.refresh == Refresh::OnWait
    }

    /// Heavy calls that run.
    #[allow(clippy::cast_possible_truncation)] // places are numbered in 32 bits
    pub const fn running(&self) -> u32 {
        (self.leases.len() - self.free.len()) as u32
    }

    /// Until when a heavy attempt that asks at `now` may not start, if it may not: before that, asking again cannot help
    /// unless something else happens, which it must where this is [`Time::FAR`].
    pub fn blocks_heavy(&self, now: Time, view: &LaneView) -> Option<Time> {
        if self.mode == Mode::Off {
            return None;
        }
        let low = !self.rules.enough(view.remaining, view.budget);
        let low = low.then(|| next_look(now, view.next_window));
        let beside_light = (self.rules.exclusive == Exclusive::All && view.light_running > 0).then_some(Time::FAR);
        let held_back = self.held_back_by_light(now, view.heavy_waited, view.light_waited);
        // All that is in the way must go before anything changes.
        low.max(self.leased(now)).max(beside_light).max(self.staggered(now)).max(held_back)
    }

    /// A heavy call starts.
    #[allow(clippy::cast_possible_truncation)] // as many places as calls that run at once
    pub fn take(&mut self, now: Time) -> LaneHold {
        let place = self.free.pop().unwrap_or_else(|| {
            self.leases.push(Time::ZERO);
            self.leases.len() as u32 - 1
        });
        self.leases[place as usize] = now + self.rules.lease;
        self.heavy_started = Some(now);
        LaneHold { place }
    }

    /// A heavy call has ended.
    #[allow(clippy::needless_pass_by_value)] // a hold comes back once
    pub fn give_back(&mut self, hold: LaneHold) {
        self.leases[hold.place as usize] = Time::ZERO;
        self.free.push(hold.place);
    }

    /// Whether anything here can keep a light attempt from starting, while heavy ones wait or none does.
    pub fn may_hold_light(&self, heavy_waits: bool) -> bool {
        let rules = &self.rules;
        let always = rules.exclusive == Exclusive::All || rules.stagger_scope == StaggerScope::All;
        self.mode == Mode::Enforce && (heavy_waits || always)
    }

    /// The same of a light attempt, beside the oldest heavy one that waits. `light_waited` is the wait that a heavy one that
    /// asks is shown: that of the oldest light attempt, whichever of them goes first.
    pub fn blocks_light(&self, now: Time, heavy_waited: Option<Span>, light_waited: Span) -> Option<Time> {
        if self.mode == Mode::Off {
            return None;
        }
        let leased = self.leased(now);
        let stagger = self.staggered(now).filter(|_| self.rules.stagger_scope == StaggerScope::All);
        let held_back = self.held_back_by_heavy(now, heavy_waited, light_waited);
        // While another heavy call keeps the aged one out, to hold back the light ones would help nobody.
        let held_back = held_back.filter(|_| leased.is_none());
        leased.filter(|_| self.rules.exclusive == Exclusive::All).max(stagger).max(held_back)
    }

    /// A light call starts.
    pub fn started_light(&mut self, now: Time) {
        self.light_started = Some(now);
    }

    /// When the last lease ends, while a heavy call excludes anybody.
    fn leased(&self, now: Time) -> Option<Time> {
        if self.rules.exclusive == Exclusive::Seed {
            return None;
        }
        self.leases.iter().copied().max().filter(|end| *end > now)
    }

    /// When the stagger ends, while it holds.
    fn staggered(&self, now: Time) -> Option<Time> {
        let light = self.light_started.filter(|_| self.rules.stagger_scope == StaggerScope::All);
        self.heavy_started.max(light).map(|started| started + self.rules.stagger).filter(|end| *end > now)
    }

    /// If an aged light attempt goes before this heavy one: until when, if it ends by itself. Both waits grow alike, so the
    /// heavy one's must be the longer, and come of age yet.
    fn held_back_by_light(&self, now: Time, heavy: Span, light: Option<Span>) -> Option<Time> {
        let (max_wait, light) = self.rules.max_wait.zip(light)?;
        let (heavy, light) = self.waits(now, heavy, light);
        let first = heavy >= light;
        let held_back = light >= max_wait.light && !(first && heavy >= max_wait.heavy);
        held_back.then(|| if first { now + rest(max_wait.heavy, heavy) } else { Time::FAR })
    }

    /// The same the other way round.
    fn held_back_by_heavy(&self, now: Time, heavy: Option<Span>, light: Span) -> Option<Time> {
        let (max_wait, heavy) = self.rules.max_wait.zip(heavy)?;
        let (heavy, light) = self.waits(now, heavy, light);
        let first = light > heavy;
        let held_back = heavy >= max_wait.heavy && !(first && light >= max_wait.light);
        held_back.then(|| if first { now + rest(max_wait.light, light) } else { Time::FAR })
    }

    /// What each side has waited since its latest start.
    fn waits(&self, now: Time, heavy: Span, light: Span) -> (Span, Span) {
        let since = |started: Option<Time>, waited: Span| started.map_or(waited, |started| waited.min(now - started));
        (since(self.heavy_started, heavy), since(self.light_started, light))
    }
}

impl Rules {
    fn of(settings: &HeavyLane) -> Self {
        let share = settings.min_remaining.map_or(MIN_REMAINING, Fraction::value);
        let tokens = |count: Count| MinRemaining::Tokens(i64::from(count.value()));
        let ages = settings.exclusive != Exclusive::Seed && settings.refresh == Refresh::OnWait;
        Self {
            min_remaining: settings.min_remaining_tokens.map_or(MinRemaining::Share(share), tokens),
            exclusive: settings.exclusive,
            refresh: settings.refresh,
            stagger: settings.stagger.filter(|_| settings.stagger_scope != StaggerScope::Nobody).unwrap_or(Span::ZERO),
            stagger_scope: settings.stagger_scope,
            lease: settings.lease,
            max_wait: ages.then_some(MaxWait { heavy: settings.heavy_max_wait, light: settings.light_max_wait }),
        }
    }

    /// Whether enough is left. A whole window always is: else no heavy call would ever start.
    fn enough(&self, remaining: i64, budget: u64) -> bool {
        if remaining >= budget.cast_signed() {
            return true;
        }
        match self.min_remaining {
            MinRemaining::Share(share) => remaining as f64 / budget as f64 >= share, // the seed compares this quotient
            MinRemaining::Tokens(tokens) => remaining >= tokens,
        }
    }
}

/// When the window is worth another look. One whose end has passed unseen is rolled over by a reservation only; the seed
/// looks again a minute later.
fn next_look(now: Time, next_window: Time) -> Time {
    if next_window > now { next_window } else { now + MINUTE }
}

/// What is left of `max` after `waited`.
fn rest(max: Span, waited: Span) -> Span {
    Span::from_nanos(max.as_nanos().saturating_sub(waited.as_nanos()))
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
