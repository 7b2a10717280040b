//! Ratios of pairs.

use std::fmt;

/// One figure of side A over the same of side B, a pair a round.
pub(crate) struct Ratio(Vec<f64>);

impl Ratio {
    /// From the two sides' figures, in the order they were taken.
    pub(crate) fn of(pairs: &[(f64, f64)]) -> Self {
        let mut ratios: Vec<f64> = pairs.iter().map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        Self(ratios)
    }
}

/// The middle of each side's figures.
pub(crate) fn medians(pairs: &[(f64, f64)]) -> (f64, f64) {
    let (ours, theirs) = pairs.iter().copied().unzip();
    (median(ours), median(theirs))
}

/// The middle of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(low), Some(high)) = (self.0.first(), self.0.last()) else {
            return f.write_str("nothing measured");
        };
        write!(f, "{:.2} [{low:.2}, {high:.2}]", self.0[self.0.len() / 2])
    }
}
