//! From samples to the few numbers that are reported.

/// Measurements of one thing, in any unit.
#[derive(Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    pub(crate) fn extend(&mut self, samples: impl IntoIterator<Item = f64>) {
        self.0.extend(samples);
    }

    /// The smallest sample that at least the given share of the samples does not exceed (nearest rank).
    /// NaN without samples.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or(f64::NAN)
    }

    #[cfg(any(test, feature = "in-process"))]
    /// The largest sample. NaN without samples.
    pub(crate) fn largest(&self) -> f64 {
        self.percentile(1.0)
    }

    /// NaN without samples.
    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let mut samples = Samples::default();
        assert!(samples.median().is_nan() && samples.mean().is_nan());
        for sample in [5.0, 1.0, 4.0, 2.0, 3.0] {
            samples.push(sample);
        }
        assert_eq!(samples.median(), 3.0);
        assert_eq!(samples.percentile(0.99), 5.0);
        assert_eq!(samples.percentile(0.2), 1.0);
        assert_eq!(samples.percentile(0.0), 1.0);
        assert_eq!(samples.largest(), 5.0);
        assert_eq!(samples.mean(), 3.0);
    }
}
