//! What changed in an object, for people, as Kubernetes tells it: a unified diff of indented JSON.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};
use std::fmt::Write;

/// Lines around a change that are shown, too.
const CONTEXT: usize = 3;
/// Past this many comparisons all that lies between the first and the last change counts as changed.
const MOST_COMPARISONS: usize = 4 << 20;

/// One line of either side.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Line<'a> {
    Same(&'a str),
    Removed(&'a str),
    Added(&'a str),
}

/// The unified diff from `old` to `new`; `None` if they are the same. A null is no value at all.
pub(crate) fn changes(old: &Value, new: &Value) -> Option<String> {
    let (old, new) = (dense(old), dense(new));
    (old != new).then(|| diff(&old, &new))
}

fn dense(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), dense(value))).collect()
        }
        Value::Array(items) => items.iter().map(dense).collect(),
        plain => plain.clone(),
    }
}

fn diff(old: &Value, new: &Value) -> String {
    let (old, new) = (indented(old), indented(new));
    let lines = compare(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let mut text = String::new();
    for (start, end) in hunks(&lines) {
        write_hunk(&lines, start, end, &mut text);
    }
    text
}

fn indented(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b" "));
    // Values have string keys and a vector takes every write.
    value.serialize(&mut serializer).map(|()| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let before = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[before..], &new[before..]);
    let after = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old_middle, new_middle) = (&old_rest[..old_rest.len() - after], &new_rest[..new_rest.len() - after]);
    let mut lines: Vec<Line> = old[..before].iter().map(|line| Line::Same(line)).collect();
    lines.extend(align(old_middle, new_middle));
    lines.extend(old_rest[old_rest.len() - after..].iter().map(|line| Line::Same(line)));
    lines
}

/// The longest common subsequence stays; the rest is removed or added.
fn align<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let (rows, columns) = (old.len(), new.len());
    if rows.saturating_mul(columns) > MOST_COMPARISONS {
        let removed = old.iter().map(|line| Line::Removed(line));
        return removed.chain(new.iter().map(|line| Line::Added(line))).collect();
    }
    let common = common_lengths(old, new);
    let at = |row: usize, column: usize| common[row * (columns + 1) + column];
    let (mut row, mut column, mut lines) = (0, 0, Vec::new());
    while row < rows || column < columns {
        if row < rows && column < columns && old[row] == new[column] {
            lines.push(Line::Same(old[row]));
            (row, column) = (row + 1, column + 1);
        } else if column == columns || row < rows && at(row + 1, column) >= at(row, column + 1) {
            lines.push(Line::Removed(old[row]));
            row += 1;
        } else {
            lines.push(Line::Added(new[column]));
            column += 1;
        }
    }
    lines
}

/// At each pair of places, how many lines the rests of both sides have in common.
fn common_lengths(old: &[&str], new: &[&str]) -> Vec<u32> {
    let width = new.len() + 1;
    let mut common = vec![0; (old.len() + 1) * width];
    for row in (0..old.len()).rev() {
        for column in (0..new.len()).rev() {
            common[row * width + column] = match old[row] == new[column] {
                true => common[(row + 1) * width + column + 1] + 1,
                false => common[(row + 1) * width + column].max(common[row * width + column + 1]),
            };
        }
    }
    common
}

/// The ranges of lines that are shown: changes with their context, joined where they touch.
fn hunks(lines: &[Line]) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    for (index, _) in lines.iter().enumerate().filter(|(_, line)| !matches!(line, Line::Same(_))) {
        let (start, end) = (index.saturating_sub(CONTEXT), (index + CONTEXT + 1).min(lines.len()));
        match hunks.last_mut() {
            Some(last) if start <= last.1 => last.1 = end,
            _ => hunks.push((start, end)),
        }
    }
    hunks
}

fn write_hunk(lines: &[Line], start: usize, end: usize, text: &mut String) {
    let count = |lines: &[Line], skip: fn(&Line) -> bool| lines.iter().filter(|line| !skip(line)).count();
    let (added, removed) =
        (|line: &Line| matches!(line, Line::Added(_)), |line: &Line| matches!(line, Line::Removed(_)));
    let (before, shown) = (&lines[..start], &lines[start..end]);
    let (old_at, new_at) = (count(before, added) + 1, count(before, removed) + 1);
    let header = format!("@@ -{old_at},{} +{new_at},{} @@", count(shown, added), count(shown, removed));
    text.push_str(&header);
    text.push('\n');
    for line in shown {
        let (mark, line) = match line {
            Line::Same(line) => (' ', line),
            Line::Removed(line) => ('-', line),
            Line::Added(line) => ('+', line),
        };
        // A string takes every write.
        let _ = writeln!(text, "{mark}{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_shown_with_three_lines_around_it() {
        let old = json!({ "a": 1, "b": [1, 2, 3], "c": { "d": "x" }, "e": null, "f": 1, "g": 1 });
        let mut new = old.clone();
        new["b"] = json!([1, 3]);
        new["g"] = json!(2);
        let expected = "\
@@ -2,7 +2,6 @@
  \"a\": 1,
  \"b\": [
   1,
-  2,
   3
  ],
  \"c\": {
@@ -10,5 +9,5 @@
  },
  \"e\": null,
  \"f\": 1,
- \"g\": 1
+ \"g\": 2
 }
";
        assert_eq!(diff(&old, &new), expected);
    }

    #[test]
    fn a_null_is_no_value() {
        assert_eq!(changes(&json!({ "a": [{ "b": null }] }), &json!({ "a": [{}], "c": null })), None);
        assert!(changes(&json!({ "a": 1 }), &json!({ "a": 2 })).is_some());
    }

    #[test]
    fn what_is_too_long_to_compare_is_shown_whole() {
        let (old, new) = (vec!["a"; 3000], vec!["b"; 3000]);
        assert_eq!(compare(&old, &new).len(), 6000);
    }
}
