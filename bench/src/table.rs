//! Tables as Markdown, aligned, so that a run can be read in a terminal and pasted into a document.

#[cfg(feature = "stores")]
use crate::statistics::Samples;

/// A table under construction: the first column is text, the others are numbers.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const COLUMNS: usize>(head: [&str; COLUMNS]) -> Self {
        Table {
            rows: vec![head.map(str::to_owned).to_vec()],
        }
    }

    pub(crate) fn row<const COLUMNS: usize>(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells.into());
    }

    /// Prints it below a heading.
    pub(crate) fn print(&self, heading: &str) {
        println!("\n{heading}\n\n{}", self.text());
    }

    fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut lines: Vec<String> = self.rows.iter().map(|row| line(row, &widths)).collect();
        let rule: Vec<String> = widths
            .iter()
            .enumerate()
            .map(|(column, width)| match column {
                0 => "-".repeat(*width),
                _ => format!("{}:", "-".repeat(width.saturating_sub(1))),
            })
            .collect();
        lines.insert(1, line(&rule, &widths));
        lines.join("\n")
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
    format!("| {} |", padded.collect::<Vec<_>>().join(" | "))
}

/// A number with three significant digits, or whole with separators from 1,000 on.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        return "–".to_owned();
    }
    let digits = match value.abs() {
        size if size < 1.0 => 3,
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        size if size < 999.5 => 0,
        _ => return grouped(value),
    };
    format!("{value:.digits$}")
}

fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 {
        format!("-{text}")
    } else {
        text
    }
}

/// A share of one, in percent; with digits after the point only where it is small.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        ..1.0 => format!("{percent:.2} %"),
        _ => format!("{percent:.0} %"),
    }
}

#[cfg(feature = "stores")]
/// The median, and in parentheses the lowest and the highest.
pub(crate) fn spread(samples: &Samples) -> String {
    format!(
        "{} ({}–{})",
        number(samples.median()),
        number(samples.percentile(0.0)),
        number(samples.largest())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0401, "0.040"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (123.4, "123"),
            (999.6, "1,000"),
            (1_234_567.0, "1,234,567"),
            (-1234.0, "-1,234"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn small_shares_are_not_nothing() {
        assert_eq!(percent(0.426), "43 %");
        assert_eq!(percent(0.000_56), "0.06 %");
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["what", "ms"]);
        table.row(["a".to_owned(), "1.0".to_owned()]);
        let lines = ["| what |  ms |", "| ---- | --: |", "| a    | 1.0 |"];
        assert_eq!(table.text(), lines.join("\n"));
    }
}
