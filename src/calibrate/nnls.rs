//! Least squares with coefficients that are not negative, exactly.
//!
//! The problem is that of C. L. Lawson, R. J. Hanson, *Solving Least Squares Problems*, Prentice-Hall 1974, chapter 23. With
//! as few columns as a step's cost has, their active-set search is not needed: the solution is the best of the plain
//! least-squares solutions over every choice of columns whose coefficients come out not negative (Karush-Kuhn-Tucker), and 31
//! such choices are looked at in no time. No iteration, no tolerance to stop at. (There is no well-kept crate for it without a
//! linear algebra library behind it.)

/// Sums of weighted products, all that a solution needs of the rows.
#[derive(Clone, Debug)]
pub struct Normal<const K: usize> {
    gram: [[f64; K]; K],
    moments: [f64; K],
}

impl<const K: usize> Default for Normal<K> {
    fn default() -> Self {
        Self { gram: [[0.0; K]; K], moments: [0.0; K] }
    }
}

impl<const K: usize> Normal<K> {
    /// Adds a row of the matrix, its observed value and its weight.
    pub fn add(&mut self, row: &[f64; K], observed: f64, weight: f64) {
        for i in 0..K {
            let weighted = weight * row[i];
            self.moments[i] += weighted * observed;
            for (sum, other) in self.gram[i].iter_mut().zip(row) {
                *sum += weighted * other;
            }
        }
    }

    /// Adds what another one has summed.
    pub fn merge(&mut self, other: &Self) {
        for i in 0..K {
            self.moments[i] += other.moments[i];
            self.gram[i].iter_mut().zip(&other.gram[i]).for_each(|(sum, other)| *sum += other);
        }
    }

    /// The coefficients, each at least 0, with the least weighted sum of squares. A column without any variation of its own
    /// (all zero, or the same as others together) gets 0.
    #[must_use]
    pub fn solve(&self) -> [f64; K] {
        let mut best = ([0.0; K], 0.0);
        for choice in 1..1_usize << K {
            let columns: Vec<usize> = (0..K).filter(|column| choice >> column & 1 == 1).collect();
            let Some(found) = self.over(&columns) else { continue };
            if found.iter().any(|coefficient| *coefficient < 0.0) {
                continue;
            }
            let mut all = [0.0; K];
            for (column, coefficient) in columns.iter().zip(&found) {
                all[*column] = *coefficient;
            }
            // The sum of squares less its constant part, at a stationary point.
            let cost: f64 = -all.iter().zip(&self.moments).map(|(coefficient, moment)| coefficient * moment).sum::<f64>();
            if cost < best.1 {
                best = (all, cost);
            }
        }
        best.0
    }

    /// The sums of products over `step`, over those of `other` for the same step: how far `other`'s solution goes where this one's goes
    /// by `step`. Columns outside `free` stay; so do all where these depend on each other.
    #[must_use]
    pub fn carried(&self, other: &Self, step: &[f64; K], free: &[usize]) -> [f64; K] {
        let moments = std::array::from_fn(|i| free.iter().map(|j| self.gram[i][*j] * step[*j]).sum());
        let mut carried = *step;
        if let Some(found) = (Self { moments, ..other.clone() }).over(free) {
            free.iter().zip(found).for_each(|(column, found)| carried[*column] = found);
        }
        carried
    }

    /// Plain least squares over some columns, by Cholesky's method on columns scaled to length 1; `None` where one depends on
    /// the others.
    fn over(&self, columns: &[usize]) -> Option<Vec<f64>> {
        let n = columns.len();
        let scale: Vec<f64> = columns.iter().map(|column| self.gram[*column][*column].sqrt()).collect();
        if scale.iter().any(|length| !length.is_normal()) {
            return None;
        }
        let mut lower = vec![vec![0.0; n]; n];
        for i in 0..n {
            for j in 0..=i {
                let product: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
                let rest = self.gram[columns[i]][columns[j]] / (scale[i] * scale[j]) - product;
                lower[i][j] = if i == j { independent(rest)?.sqrt() } else { rest / lower[j][j] };
            }
        }
        let mut found = vec![0.0; n];
        for i in 0..n {
            let known: f64 = (0..i).map(|k| lower[i][k] * found[k]).sum();
            found[i] = (self.moments[columns[i]] / scale[i] - known) / lower[i][i];
        }
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|k| lower[k][i] * found[k]).sum();
            found[i] = (found[i] - known) / lower[i][i];
        }
        Some(found.iter().zip(&scale).map(|(coefficient, scale)| coefficient / scale).collect())
    }
}

/// What is left of a column of length 1 beside the others, squared; `None` where that is rounding.
fn independent(rest: f64) -> Option<f64> {
    (rest > 1e-10).then_some(rest)
}

/// A row's value under the coefficients.
#[must_use]
pub fn dot<const K: usize>(row: &[f64; K], coefficients: &[f64; K]) -> f64 {
    row.iter().zip(coefficients).map(|(x, c)| x * c).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn solved<const K: usize>(rows: &[([f64; K], f64)]) -> [f64; K] {
        let mut normal = Normal::default();
        for (row, observed) in rows {
            normal.add(row, *observed, 1.0);
        }
        normal.solve()
    }

    #[test]
    fn a_column_that_wants_to_be_negative_gets_nothing() {
        // y = 5 - x: without the bound the slope is -1; with it the best is the mean, 3.
        let rows: Vec<([f64; 2], f64)> = (0..5).map(|x| ([1.0, f64::from(x)], 5.0 - f64::from(x))).collect();
        let found = solved(&rows);
        assert!((found[0] - 3.0).abs() < 1e-12 && found[1] == 0.0, "{found:?}");
    }

    #[test]
    fn a_column_that_tells_nothing_gets_nothing() {
        let rows: Vec<([f64; 3], f64)> = (0..5).map(|x| ([1.0, 1.0, 0.0], 2.0 + f64::from(x % 2))).collect();
        let found = solved(&rows);
        assert!((found[0] + found[1] - 2.4).abs() < 1e-12 && found[2] == 0.0, "{found:?}");
    }

    proptest! {
        /// The conditions of Karush, Kuhn and Tucker: no coefficient is negative, the slope of the sum of squares is 0 where a
        /// coefficient is above 0, and not downhill where it is 0.
        #[test]
        fn the_solution_is_stationary_inside_its_bounds(
            rows in prop::collection::vec((prop::array::uniform3(-3.0f64..3.0), -5.0f64..5.0), 4..30),
        ) {
            let found = solved(&rows);
            for column in 0..3 {
                let slope: f64 = rows.iter().map(|(row, y)| 2.0 * row[column] * (dot(row, &found) - y)).sum();
                prop_assert!(found[column] >= 0.0);
                prop_assert!(slope > -1e-6, "column {column}: {slope}");
                prop_assert!(found[column] == 0.0 || slope.abs() < 1e-6, "column {column}: {slope}");
            }
        }
    }
}
