//! Named random streams: the same seed gives the same draws, whatever policy, thread count or order of events.
//!
//! The generator is ChaCha8 (portable, with a 64-bit stream number and random access). Its key comes from the scenario's
//! seed and the replication's number. An *entity* (a request) has a stream of its own, in which each [`Purpose`] stands at
//! a fixed word offset: two policies meet the same requests (common random numbers), and adding a purpose moves no other.
//! A *named* stream is drawn in sequence by one owner, for example an arrival process.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a draw in an entity's stream is for. The discriminant is its offset in 64-bit words: never renumber.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Purpose {
    /// Which class the request belongs to.
    Class = 0,
    /// Input length, or the row of a joint pair.
    Input = 1,
    /// Output length.
    Output = 2,
    /// Error of the input estimate.
    Estimate = 3,
    /// Waiting patience.
    Patience = 4,
    /// Service time at a plain station.
    Service = 5,
    /// Which prefix group.
    Prefix = 6,
    /// Which tenant.
    Tenant = 7,
    /// Seed of all later draws about the request: admission and backoff of each attempt ([`mix`]).
    Later = 8,
    /// Think time before the request (closed loop).
    Think = 9,
    /// Whether the request is grounded.
    Grounded = 10,
    /// Its vantage policy.
    Vantage = 11,
    /// Where its proxy stands.
    Country = 12,
    /// How its proxy is chosen.
    ProxyMode = 13,
    /// What a metered API bills for it, over the estimate.
    Usage = 14,
}

/// How many 64-bit words an entity has: what fits into half of what the generator makes at once.
const ENTITY_WORDS: usize = 16;

/// High bit of the stream number: set for named streams, clear for entities.
const NAMED: u64 = 1 << 63;

/// Where a replication's randomness comes from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
    replication: u32,
}

impl Streams {
    /// The streams of replication `replication` (from 0) under `seed`.
    #[must_use]
    pub const fn new(seed: u64, replication: u32) -> Self {
        Self { seed, replication }
    }

    /// The stream called `name`, for one owner to draw from in sequence.
    #[must_use]
    pub fn named(&self, name: &str) -> ChaCha8Rng {
        let mut rng = self.keyed();
        rng.set_stream(NAMED | fnv1a(name.as_bytes()));
        rng
    }

    /// The source of per-entity draws.
    #[must_use]
    pub fn entities(&self) -> Entities {
        Entities { fresh: self.keyed() }
    }

    fn keyed(&self) -> ChaCha8Rng {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..12].copy_from_slice(&self.replication.to_le_bytes());
        key[16..].copy_from_slice(b"plimsoll streams");
        ChaCha8Rng::from_seed(key)
    }
}

/// Gives each entity its own draws.
#[derive(Clone, Debug)]
pub struct Entities {
    /// Never drawn from, only copied: choosing the stream of a generator that has been drawn from costs it a block.
    fresh: ChaCha8Rng,
}

impl Entities {
    /// All first draws of entity number `entity` (below 2^63).
    #[must_use]
    pub fn draws(&self, entity: u64) -> Draws {
        let mut rng = self.fresh.clone();
        rng.set_stream(entity & !NAMED);
        let mut bytes = [0; 8 * ENTITY_WORDS];
        rng.fill_bytes(&mut bytes);
        let (words, _) = bytes.as_chunks::<8>();
        let mut draws = [0; ENTITY_WORDS];
        for (draw, word) in draws.iter_mut().zip(words) {
            *draw = u64::from_le_bytes(*word);
        }
        Draws(draws)
    }
}

/// One entity's first draw for each purpose.
#[derive(Copy, Clone, Debug)]
pub struct Draws([u64; ENTITY_WORDS]);

impl Draws {
    /// Nothing drawn yet.
    #[must_use]
    pub const fn none() -> Self {
        Self([0; ENTITY_WORDS])
    }

    /// Fills in the next draws of one sequential stream: faster than an entity's own stream, and still the same for every policy,
    /// because requests are generated in the same order whatever is done with them.
    #[inline]
    pub fn fill(&mut self, rng: &mut ChaCha8Rng, purposes: &[Purpose]) {
        for purpose in purposes {
            self.0[*purpose as usize] = rng.next_u64();
        }
    }

    /// The 64 random bits for `purpose`.
    #[must_use]
    pub const fn bits(&self, purpose: Purpose) -> u64 {
        self.0[purpose as usize]
    }
}

/// A uniform number in the open interval (0, 1) from 64 random bits.
#[must_use]
#[allow(clippy::cast_precision_loss)] // exact: 52 bits and a half
pub fn open01(bits: u64) -> f64 {
    ((bits >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
}

/// The `n`-th of the draws that `seed` stands for: `SplitMix64`'s finaliser over a Weyl sequence (Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[must_use]
pub const fn mix(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// FNV-1a, 64 bits: small, portable, and good enough to tell stream names apart.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_draws_the_same_whoever_was_asked_before() {
        let streams = Streams::new(7, 3);
        let one = streams.entities();
        let other = streams.entities();
        let first = one.draws(41).bits(Purpose::Output);
        let _ = other.draws(5);
        let _ = other.draws(999);
        assert_eq!(other.draws(41).bits(Purpose::Output), first);
    }

    #[test]
    fn seeds_replications_entities_and_names_differ() {
        let bits = |seed, replication, entity| Streams::new(seed, replication).entities().draws(entity).bits(Purpose::Class);
        let all = [bits(1, 0, 0), bits(2, 0, 0), bits(1, 1, 0), bits(1, 0, 1)];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
        let streams = Streams::new(1, 0);
        assert_ne!(streams.named("arrivals/a").next_u64(), streams.named("arrivals/b").next_u64());
    }

    #[test]
    fn open01_never_reaches_its_ends() {
        assert!(open01(0) > 0.0 && open01(u64::MAX) < 1.0);
    }

    /// Golden: these figures may never change, or every published digest does.
    #[test]
    fn the_streams_are_portable() {
        assert_eq!(mix(0, 0), 0xE220_A839_7B1D_CDAF); // first output of SplitMix64 seeded with 0
        let draws = Streams::new(1, 0).entities().draws(7);
        assert_eq!(
            [draws.bits(Purpose::Class), draws.bits(Purpose::Think)],
            [13_740_612_139_833_802_857, 14_096_680_605_053_948_479]
        );
    }
}
