//! A fair sample of what has been seen so far, in bounded memory: algorithm R (Vitter, "Random sampling with a reservoir", ACM
//! TOMS 11(1), 1985), with draws by seed.

use crate::rng::mix;

/// Pairs that are kept.
const KEPT: usize = 512;

/// A sample of (prompt, answer) lengths.
#[derive(Clone, Debug, Default)]
pub(super) struct Reservoir {
    kept: Vec<(u32, u32)>,
    seen: u64,
}

impl Reservoir {
    /// One more pair; `seed` may differ from reservoir to reservoir.
    pub fn see(&mut self, pair: (u32, u32), seed: u64) {
        self.seen += 1;
        if self.kept.len() < KEPT {
            self.kept.push(pair);
            return;
        }
        let place = usize::try_from(mix(seed, self.seen) % self.seen).unwrap_or(usize::MAX);
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = pair;
        }
    }

    /// One of them, by 64 random bits; `None` while there is none.
    pub fn draw(&self, bits: u64) -> Option<(u32, u32)> {
        let place = usize::try_from(bits % self.kept.len().max(1) as u64).ok()?;
        self.kept.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_what_was_seen_is_kept_alike() {
        let mut reservoir = Reservoir::default();
        assert_eq!(reservoir.draw(5), None);
        for n in 0..100_000 {
            reservoir.see((n, n), 7);
        }
        let early = reservoir.kept.iter().filter(|(n, _)| *n < 50_000).count();
        // Half of 512, give or take four standard deviations.
        assert!((211..=301).contains(&early), "{early} of {KEPT}");
    }
}
