//! Candidates without a model: scrambled Sobol points.
//!
//! I. M. Sobol, "On the distribution of points in a cube and the approximate evaluation of integrals", USSR Comput. Math. and
//! Math. Phys. 7:4 (1967), 86-112; A. B. Owen, "Randomly permuted (t,m,s)-nets and (t,s)-sequences", MCQMC 1995, 299-317; the
//! hashed scramble is B. Burley's, "Practical hash-based Owen scrambling", JCGT 9:4 (2020), 1-20, with the direction numbers
//! of S. Joe and F. Y. Kuo, SIAM J. Sci. Comput. 30 (2008), 2635-2654. The sequence has 2^16 points in 256 dimensions.

use crate::rng::mix;
use crate::tune::{Point, Space};

/// Points of the sequence at most.
pub const SOBOL_POINTS_MAX: u32 = 1 << 16;

/// Coordinate `dimension` (below 256) of point `index` (below [`SOBOL_POINTS_MAX`]) of the sequence that `seed` scrambles; at
/// least 0 and below 1.
#[must_use]
pub fn sobol(index: u32, dimension: u32, seed: u64) -> f64 {
    // The crate takes 32 bits; mixing lets every bit of ours matter.
    #[allow(clippy::cast_possible_truncation)]
    let seed = mix(seed, 0) as u32;
    f64::from(sobol_burley::sample(index, dimension, seed))
}

/// At most `count` different candidates, in the order of the Sobol sequence under `seed`. Fewer where the space holds fewer, or
/// where 16 times as many points did not find more.
#[must_use]
pub fn sobol_points(space: &Space, count: usize, seed: u64) -> Vec<Point> {
    let dimensions = u32::try_from(space.dimensions()).expect("a space has at most 128 parameters");
    let tries = u32::try_from(count.saturating_mul(16)).unwrap_or(u32::MAX).min(SOBOL_POINTS_MAX);
    let mut known = std::collections::BTreeSet::new();
    let mut points = Vec::new();
    for index in 0..tries {
        if points.len() >= count {
            break;
        }
        let unit: Vec<f64> = (0..dimensions).map(|dimension| sobol(index, dimension, seed)).collect();
        let point = space.decode(&unit);
        if known.insert(point.clone()) {
            points.push(point);
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Domain, Parameter, Scale};

    fn cube(dimensions: usize) -> Space {
        let domain = Domain::Real { lo: 0.0, hi: 1.0, scale: Scale::Linear };
        let one = |i: usize| Parameter { path: i.to_string(), domain: domain.clone(), only_if: None };
        Space::new((0..dimensions).map(one).collect()).unwrap()
    }

    /// The property that makes it a net: 64 points, 64 cells of 8 x 8, one point in each, whatever the seed.
    #[test]
    fn every_cell_has_its_point() {
        for seed in [0, 1, 99] {
            let mut cells = [0; 64];
            for i in 0..64 {
                let (x, y) = (sobol(i, 0, seed), sobol(i, 1, seed));
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let cell = (x * 8.0) as usize * 8 + (y * 8.0) as usize;
                cells[cell] += 1;
            }
            assert_eq!(cells, [1; 64], "seed {seed}");
        }
    }

    #[test]
    fn seeds_differ_and_repeat() {
        let points = |seed| sobol_points(&cube(3), 20, seed);
        assert_eq!(points(1), points(1));
        assert_ne!(points(1), points(2));
        assert_eq!(points(1).len(), 20);
    }

    #[test]
    fn a_small_space_is_listed_once() {
        let space = Space::new(vec![Parameter { path: "on".into(), domain: Domain::Bool, only_if: None }]).unwrap();
        assert_eq!(sobol_points(&space, 50, 3).len(), 2);
    }
}
