//! What a figure should be.

/// A limit, and on which side of it a figure should be.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    /// The target and whether a figure meets it. `text` writes the limit as the figure is written.
    pub(crate) fn verdict(self, figure: f64, text: impl Fn(f64) -> String) -> String {
        let (sign, limit, is_met) = match self {
            Target::AtLeast(limit) => ('≥', limit, figure >= limit),
            Target::AtMost(limit) => ('≤', limit, figure <= limit),
        };
        let verdict = if is_met { "met" } else { "missed" };
        format!("{sign} {}: {verdict}", text(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::percent;

    #[test]
    fn a_figure_at_the_limit_meets_it() {
        assert_eq!(Target::AtLeast(0.5).verdict(0.5, percent), "≥ 50 %: met");
        assert_eq!(Target::AtLeast(0.5).verdict(0.4, percent), "≥ 50 %: missed");
        assert_eq!(Target::AtMost(0.5).verdict(0.5, percent), "≤ 50 %: met");
        assert_eq!(
            Target::AtMost(0.5).verdict(f64::NAN, percent),
            "≤ 50 %: missed"
        );
    }
}
