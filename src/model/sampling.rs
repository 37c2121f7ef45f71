//! How many look-ups a random sample takes that stands for all candidates of a sweep.
//!
//! If one in 1,000 of them were still there, a sample of `n` would meet none with a probability of at most `(1 - 1/1000)^n`, which is
//! less than 1 in 1,000 from `n = ln(1000) / (1/1000) = 6,908` on. A sample without repeats meets one even more surely. So of those
//! that go on a sample, fewer than 1 in 1,000 are still there, with a confidence of 99.9%.

/// Look-ups of a sample: `ln(1000) * 1000`, rounded up.
pub const SAMPLE: u64 = 6_908;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_meets_one_in_a_thousand_with_999_in_a_thousand() {
        let misses_all = |look_ups: u64| 0.999_f64.powi(i32::try_from(look_ups).unwrap_or(i32::MAX));
        assert!(misses_all(SAMPLE) < 0.001);
        assert!(
            misses_all(SAMPLE - 10) > 0.001,
            "more look-ups than the bound needs"
        );
    }
}
