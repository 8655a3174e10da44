//! The table that is printed.

use std::fmt::Write;

/// One line of the table: what was measured, beside its floor.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) floor_is: &'static str,
    pub(crate) floor: f64,
    pub(crate) target: Target,
}

/// What the ratio of our figure to the floor should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// More is better, and this much is enough.
    AtLeast(f64),
    /// Less is better, and this much is little enough.
    AtMost(f64),
    /// It should be the floor, give or take this part of it.
    Within(f64),
    /// It should come this near to the floor, and never past it: a limit proves nothing unless it was reached.
    Reaches(f64),
    /// Printed for its own sake.
    None,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours / self.floor
    }

    fn cells(&self) -> [String; 7] {
        let verdict = match self.target {
            Target::AtLeast(least) if self.ratio() >= least => "met",
            Target::AtMost(most) if self.ratio() <= most => "met",
            Target::Within(part) if (self.ratio() - 1.0).abs() <= part => "met",
            Target::Reaches(part) if (part..=1.0).contains(&self.ratio()) => "met",
            Target::None => "",
            _ => "missed",
        };
        [
            self.what.into(),
            figure(self.ours),
            figure(self.floor),
            format!("{} ({})", self.floor_is, self.unit),
            format!("{:.2}x", self.ratio()),
            self.target.to_string(),
            verdict.into(),
        ]
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least:.2}x"),
            Self::AtMost(most) => write!(f, "<= {most:.2}x"),
            Self::Within(part) => write!(f, "+-{:.0} %", part * 100.0),
            Self::Reaches(part) => write!(f, "{part:.2}x to 1.00x"),
            Self::None => Ok(()),
        }
    }
}

const HEAD: [&str; 7] = ["what", "ours", "floor", "the floor is (unit)", "ratio", "target", ""];

/// The rows as a table of aligned columns.
pub(crate) fn render(rows: &[Row]) -> String {
    let lines: Vec<[String; 7]> = [HEAD.map(String::from)].into_iter().chain(rows.iter().map(Row::cells)).collect();
    let widths: [usize; 7] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0));
    let mut table = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(widths) {
            // Writing to a string cannot fail.
            let _ = write!(table, "{cell:width$}  ");
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    }
    table
}

/// Three digits that mean something.
fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_its_target_was_met() {
        let row =
            |ours, target| Row { what: "w", unit: "u", ours, floor_is: "f", floor: 10.0, target }.cells()[6].clone();
        assert_eq!(row(4.0, Target::AtLeast(0.4)), "met");
        assert_eq!(row(3.9, Target::AtLeast(0.4)), "missed");
        assert_eq!(row(21.0, Target::AtMost(2.0)), "missed");
        assert_eq!((row(9.6, Target::Within(0.05)), row(10.6, Target::Within(0.05))), ("met".into(), "missed".into()));
        assert_eq!((row(9.6, Target::Reaches(0.9)), row(10.0, Target::Reaches(1.0))), ("met".into(), "met".into()));
        assert_eq!(
            (row(8.9, Target::Reaches(0.9)), row(10.1, Target::Reaches(0.9))),
            ("missed".into(), "missed".into())
        );
        assert_eq!(row(21.0, Target::None), "");
    }
}
