//! find: files by name and type.

use std::fs::{self, Metadata};
use std::path::Path;

use crate::line;
use crate::list::shown_name;
use crate::options::Failure;

const HELP: &str = "usage: find [PATH...] [TEST...]\n\nPrints what is in folders and fits all tests.\n\n  \
    -name, -iname PATTERN   its name fits; * ? and [abc] are known\n  -path PATTERN           its path fits\n  \
    -type f|d|l             a file, a folder, a link\n  -size [+-]N[ckM]        that large, larger, smaller\n  \
    -empty                  a file or folder with nothing in it\n  -maxdepth N, -mindepth N   how deep";

#[derive(Default)]
struct Wanted {
    tests: Vec<Test>,
    most: Option<usize>,
    least: usize,
}

enum Test {
    Name { pattern: String, fold: bool },
    Path(String),
    Type(char),
    Size { sign: Option<char>, bytes: u64, unit: u64 },
    Empty,
}

pub(crate) fn find(args: &[String]) -> Result<u8, Failure> {
    let split = args.iter().position(|arg| arg.starts_with('-')).unwrap_or(args.len());
    let (paths, tests) = args.split_at(split);
    let wanted = Wanted::parse(tests)?;
    let here = [".".to_owned()];
    let mut code = 0;
    for path in if paths.is_empty() { &here } else { paths } {
        wanted.walk(Path::new(path), 0, &mut code);
    }
    Ok(code)
}

impl Wanted {
    fn parse(args: &[String]) -> Result<Wanted, Failure> {
        let mut wanted = Wanted::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().cloned().ok_or_else(|| Failure::Usage(format!("{arg} needs a value")));
            match arg.as_str() {
                "--help" => return Err(Failure::Help(HELP)),
                "-print" | "-a" | "-and" => {}
                "-name" => wanted.tests.push(Test::Name { pattern: value()?, fold: false }),
                "-iname" => wanted.tests.push(Test::Name { pattern: value()?.to_lowercase(), fold: true }),
                "-path" => wanted.tests.push(Test::Path(value()?)),
                "-type" => wanted.tests.push(Test::Type(kind(&value()?)?)),
                "-size" => wanted.tests.push(size(&value()?)?),
                "-empty" => wanted.tests.push(Test::Empty),
                "-maxdepth" => wanted.most = Some(depth(&value()?)?),
                "-mindepth" => wanted.least = depth(&value()?)?,
                other => return Err(Failure::Usage(format!("unknown test {other}"))),
            }
        }
        Ok(wanted)
    }

    fn walk(&self, path: &Path, depth: usize, code: &mut u8) {
        let meta = match fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(error) => return complain(path, &error, code),
        };
        if depth >= self.least && self.tests.iter().all(|test| test.holds(path, &meta)) {
            line!("{}", path.display());
        }
        if !meta.is_dir() || self.most.is_some_and(|most| depth >= most) {
            return;
        }
        let entries = match fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => return complain(path, &error, code),
        };
        let mut paths: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
        paths.sort();
        paths.iter().for_each(|path| self.walk(path, depth + 1, code));
    }
}

fn complain(path: &Path, error: &std::io::Error, code: &mut u8) {
    eprintln!("find: {}: {error}", path.display());
    *code = 1;
}

impl Test {
    fn holds(&self, path: &Path, meta: &Metadata) -> bool {
        match self {
            Test::Name { pattern, fold: false } => fits(pattern, &shown_name(path)),
            Test::Name { pattern, fold: true } => fits(pattern, &shown_name(path).to_lowercase()),
            Test::Path(pattern) => fits(pattern, &path.to_string_lossy()),
            Test::Type('d') => meta.is_dir(),
            Test::Type('l') => meta.is_symlink(),
            Test::Type(_) => meta.is_file(),
            Test::Size { sign: Some('+'), bytes, .. } => meta.len() > *bytes,
            Test::Size { sign: Some(_), bytes, .. } => meta.len() < *bytes,
            Test::Size { sign: None, bytes, unit } => meta.len().div_ceil(*unit) * unit == *bytes,
            Test::Empty if meta.is_dir() => fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()),
            Test::Empty => meta.len() == 0,
        }
    }
}

fn kind(text: &str) -> Result<char, Failure> {
    match text {
        "f" => Ok('f'),
        "d" => Ok('d'),
        "l" => Ok('l'),
        other => Err(Failure::Usage(format!("-type {other}: f, d or l"))),
    }
}

fn depth(text: &str) -> Result<usize, Failure> {
    text.parse().map_err(|_| Failure::Usage(format!("{text:?} is no depth")))
}

fn size(text: &str) -> Result<Test, Failure> {
    let sign = text.chars().next().filter(|sign| matches!(sign, '+' | '-'));
    let number = text.trim_start_matches(['+', '-']);
    let (number, unit) = match number.chars().last() {
        Some('c') => (&number[..number.len() - 1], 1),
        Some('k') => (&number[..number.len() - 1], 1 << 10),
        Some('M') => (&number[..number.len() - 1], 1 << 20),
        _ => (number, 512),
    };
    let count: u64 = number.parse().map_err(|_| Failure::Usage(format!("-size {text}: a number, and c, k or M")))?;
    Ok(Test::Size { sign, bytes: count * unit, unit })
}

/// Whether a name fits a pattern of a shell.
fn fits(pattern: &str, name: &str) -> bool {
    let mut pattern_chars = pattern.chars();
    match pattern_chars.next() {
        None => name.is_empty(),
        Some('*') => name
            .char_indices()
            .map(|(at, _)| at)
            .chain([name.len()])
            .any(|at| fits(pattern_chars.as_str(), &name[at..])),
        Some('[') if pattern_chars.as_str().contains(']') => {
            let (set, rest) = pattern_chars.as_str().split_once(']').unwrap_or_default();
            let (negated, set) = set.strip_prefix('!').map_or((false, set), |set| (true, set));
            let mut name_chars = name.chars();
            name_chars.next().is_some_and(|c| in_set(set, c) != negated) && fits(rest, name_chars.as_str())
        }
        Some(wanted) => {
            let mut name_chars = name.chars();
            let fitting = name_chars.next().is_some_and(|c| wanted == '?' || wanted == c);
            fitting && fits(pattern_chars.as_str(), name_chars.as_str())
        }
    }
}

fn in_set(set: &str, c: char) -> bool {
    let set: Vec<char> = set.chars().collect();
    set.contains(&c) || set.windows(3).any(|range| range[1] == '-' && (range[0]..=range[2]).contains(&c))
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_fit_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txt.gz", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
