//! Confidence intervals, paired comparison, warm-up deletion, quantiles.
