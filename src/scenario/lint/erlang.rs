//! Erlang's formulas, computed by the recursion that neither overflows nor cancels.
//!
//! A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic telephone
//! exchanges", 1917. Recursion: B(0) = 1, 1/B(n) = 1 + n/a * 1/B(n-1).

/// Erlang B: the share of arrivals that find all `servers` busy where nobody waits. `load` is offered work in servers
/// (arrival rate times mean service), at least 0.
#[must_use]
pub fn erlang_b(servers: u32, load: f64) -> f64 {
    if load <= 0.0 {
        return if servers == 0 { 1.0 } else { 0.0 };
    }
    // Infinity is right here: the probability is then below the smallest float.
    let inverse = (1..=servers).fold(1.0, |inverse: f64, n| (f64::from(n) / load).mul_add(inverse, 1.0));
    1.0 / inverse
}

/// Erlang C: the share of arrivals that wait where everybody waits; 1 where `load` is not below `servers`.
#[must_use]
pub fn erlang_c(servers: u32, load: f64) -> f64 {
    let utilisation = load / f64::from(servers);
    if utilisation >= 1.0 {
        return 1.0;
    }
    let b = erlang_b(servers, load);
    b / (1.0 - utilisation * (1.0 - b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values_come_out() {
        // Computed to 30 digits by the defining sums.
        assert!((erlang_b(8, 7.2) - 0.190_313_168_664).abs() < 1e-11);
        assert!((erlang_c(8, 7.2) - 0.701_532_990_146).abs() < 1e-11);
        assert!((erlang_c(64, 60.0) - 0.506_866_270_976).abs() < 1e-11);
        assert!((erlang_c(1, 0.8) - 0.8).abs() < 1e-15);
    }

    #[test]
    fn extremes_stay_probabilities() {
        for (servers, load) in [(1, 0.0), (1_000_000, 1.0), (1_000_000, 999_999.0), (1, 1e300), (5, 5.0)] {
            for p in [erlang_b(servers, load), erlang_c(servers, load)] {
                assert!((0.0..=1.0).contains(&p), "{p} at {servers} servers, load {load}");
            }
        }
    }
}
