//! Several objectives at once: domination, the front, the layers behind it, and the hypervolume.
//!
//! All objectives are maximised. One point *dominates* another where it is nowhere worse and somewhere better. The
//! hypervolume is what the points dominate above a reference (E. Zitzler, L. Thiele, "Multiobjective evolutionary algorithms: a
//! comparative case study and the strength Pareto approach", IEEE Trans. Evol. Comput. 3 (1999), 257-271), computed by slicing
//! objective by objective, which is exact and fast for the two to four objectives that a person can look at.

/// Whether `a` is nowhere worse than `b` and somewhere better.
#[must_use]
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a >= b) && a.iter().zip(b).any(|(a, b)| a > b)
}

/// The places of the points that no other dominates, in their order.
#[must_use]
pub fn front(points: &[&[f64]]) -> Vec<usize> {
    (0..points.len()).filter(|i| !points.iter().any(|other| dominates(other, points[*i]))).collect()
}

/// All places, layer by layer (the front, then the front of the rest, ...), inside a layer by falling crowding distance.
#[must_use]
pub fn layers_in_order(points: &[&[f64]]) -> Vec<usize> {
    let mut rest: Vec<usize> = (0..points.len()).collect();
    let mut order = Vec::with_capacity(points.len());
    while !rest.is_empty() {
        let those: Vec<&[f64]> = rest.iter().map(|i| points[*i]).collect();
        let layer = front(&those);
        let distances = crowding(&layer.iter().map(|i| those[*i]).collect::<Vec<_>>());
        let mut places: Vec<usize> = (0..layer.len()).collect();
        places.sort_by(|a, b| distances[*b].total_cmp(&distances[*a]));
        order.extend(places.iter().map(|place| rest[layer[*place]]));
        let mut layer = layer.into_iter().peekable();
        let mut place = 0;
        rest.retain(|_| {
            let goes = layer.next_if_eq(&place).is_some();
            place += 1;
            !goes
        });
    }
    order
}

/// How far the neighbours of each point of a layer are from each other, summed over objectives as shares of their ranges
/// (Deb et al. 2002, section III.B); infinite at the ends.
fn crowding(layer: &[&[f64]]) -> Vec<f64> {
    let mut distances = vec![0.0; layer.len()];
    let objectives = layer.first().map_or(0, |point| point.len());
    for k in 0..objectives {
        let mut order: Vec<usize> = (0..layer.len()).collect();
        order.sort_by(|a, b| layer[*a][k].total_cmp(&layer[*b][k]));
        let (first, last) = (order[0], order[order.len() - 1]);
        let range = layer[last][k] - layer[first][k];
        distances[first] = f64::INFINITY;
        distances[last] = f64::INFINITY;
        if range > 0.0 {
            for three in order.windows(3) {
                distances[three[1]] += (layer[three[2]][k] - layer[three[0]][k]) / range;
            }
        }
    }
    distances
}

/// The volume between `reference` and what `points` dominate; points that are not above the reference everywhere add nothing.
#[must_use]
pub fn hypervolume(points: &[&[f64]], reference: &[f64]) -> f64 {
    let above: Vec<&[f64]> = points.iter().copied().filter(|point| point.iter().zip(reference).all(|(x, r)| x > r)).collect();
    volume(&above, reference)
}

fn volume(points: &[&[f64]], reference: &[f64]) -> f64 {
    let Some((last, lower)) = reference.split_last() else { return 1.0 };
    let k = lower.len();
    let mut order: Vec<&[f64]> = points.to_vec();
    order.sort_by(|a, b| b[k].total_cmp(&a[k]));
    let mut total = 0.0;
    for i in 0..order.len() {
        let floor = order.get(i + 1).map_or(*last, |next| next[k]);
        let height = order[i][k] - floor;
        if height > 0.0 {
            total += height * volume(&order[..=i], lower);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_front_by_hand() {
        let points: [&[f64]; 5] = [&[1.0, 4.0], &[2.0, 2.0], &[4.0, 1.0], &[1.0, 1.0], &[2.0, 2.0]];
        assert_eq!(front(&points), [0, 1, 2, 4]);
        assert_eq!(layers_in_order(&points)[4], 3);
        // Squares of side 1 above (0, 0): 1x4 + 1x2 + 2x1.
        assert!((hypervolume(&points, &[0.0, 0.0]) - 8.0).abs() < 1e-12);
        assert!(hypervolume(&points, &[5.0, 0.0]).abs() < 1e-12);
        let cube: [&[f64]; 2] = [&[1.0, 1.0, 1.0], &[2.0, 0.5, 0.5]];
        assert!((hypervolume(&cube, &[0.0; 3]) - 1.25).abs() < 1e-12);
    }

    #[test]
    fn the_ends_of_a_layer_come_first_and_crowded_points_last() {
        let points: [&[f64]; 5] = [&[0.0, 10.0], &[5.0, 5.0], &[5.2, 4.8], &[9.0, 3.0], &[10.0, 0.0]];
        let order = layers_in_order(&points);
        assert_eq!(order[..2], [0, 4]);
        assert_eq!(order[4], 2);
    }

    proptest! {
        /// Against counting cells: on whole coordinates the hypervolume is a number of unit cubes.
        #[test]
        fn hypervolume_counts_cells(points in prop::collection::vec(prop::array::uniform3(0..5u8), 0..8)) {
            let floats: Vec<[f64; 3]> = points.iter().map(|p| p.map(f64::from)).collect();
            let slices: Vec<&[f64]> = floats.iter().map(<[f64; 3]>::as_slice).collect();
            let inside = |c: [u8; 3]| points.iter().any(|p| p.iter().zip(c).all(|(p, c)| *p > c));
            let cells = (0..125u8).filter(|i| inside([i % 5, i / 5 % 5, i / 25])).count();
            prop_assert!((hypervolume(&slices, &[0.0; 3]) - cells as f64).abs() < 1e-9);
        }

        /// Nothing on the front is dominated; every other point is, by one of it; the order holds each place once.
        #[test]
        fn the_front_dominates_the_rest(points in prop::collection::vec(prop::array::uniform2(0..9u8), 1..20)) {
            let floats: Vec<[f64; 2]> = points.iter().map(|p| p.map(f64::from)).collect();
            let slices: Vec<&[f64]> = floats.iter().map(<[f64; 2]>::as_slice).collect();
            let on = front(&slices);
            for (i, point) in slices.iter().enumerate() {
                let beaten = on.iter().any(|j| dominates(slices[*j], point));
                prop_assert_eq!(beaten, !on.contains(&i));
            }
            let mut order = layers_in_order(&slices);
            prop_assert!(order[..on.len()].iter().all(|i| on.contains(i)));
            order.sort_unstable();
            prop_assert_eq!(order, (0..slices.len()).collect::<Vec<_>>());
        }
    }
}
