//! grep: lines by a pattern.

use std::fs;
use std::io::BufRead;
use std::path::Path;

use regex_lite::{Regex, RegexBuilder, escape};

use crate::line;
use crate::options::{Failure, Options, Spec, each, failed};
use crate::text::open;

pub(crate) fn grep(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: grep [-EFivnclqrhHowx] [-e PATTERN] [PATTERN] [FILE...]\n\nPrints the lines of files, or of the input, that a \
               pattern is in. Succeeds if there are any.\n\nPatterns are extended regular expressions; -F takes them literally.\n\n  \
               -i  capitals are the same\n  -v  those that it is not in\n  -n  with their numbers\n  -c  only how many\n  \
               -l  only the files' names\n  -o  only what fits\n  -w  whole words\n  -x  whole lines\n  -r  all files in folders\n  \
               -H, -h  with, without the files' names\n  -q  print nothing",
        short: "EFGivnclqrRhHsowxe:",
        long: &[
            ("ignore-case", 'i'),
            ("invert-match", 'v'),
            ("line-number", 'n'),
            ("count", 'c'),
            ("files-with-matches", 'l'),
            ("recursive", 'r'),
            ("quiet", 'q'),
            ("fixed-strings", 'F'),
            ("extended-regexp", 'E'),
            ("only-matching", 'o'),
            ("word-regexp", 'w'),
        ],
    };
    let mut options = SPEC.parse(args)?;
    let mut patterns: Vec<String> = options.values('e').map(str::to_owned).collect();
    if patterns.is_empty() {
        if options.rest.is_empty() {
            return Err(Failure::Usage("no pattern is given".to_owned()));
        }
        patterns.push(options.rest.remove(0));
    }
    let search = Search { regex: regex(&patterns, &options)?, options: &options, named: named(&options) };
    let files = if options.has('r') && options.rest.is_empty() { vec![".".to_owned()] } else { options.inputs() };
    let mut found = false;
    let code = each("grep", &files, |file| search.path(file, &mut found))?;
    Ok(if code != 0 { 2 } else { u8::from(!found) })
}

fn regex(patterns: &[String], options: &Options) -> Result<Regex, Failure> {
    let one = |pattern: &String| if options.has('F') { escape(pattern) } else { pattern.clone() };
    let mut all = patterns.iter().flat_map(|text| text.split('\n').map(str::to_owned).collect::<Vec<_>>());
    let all: Vec<String> = all.by_ref().map(|pattern| one(&pattern)).collect();
    let mut pattern = format!("(?:{})", all.join("|"));
    if options.has('w') {
        pattern = format!(r"\b{pattern}\b");
    }
    if options.has('x') {
        pattern = format!("^{pattern}$");
    }
    let built = RegexBuilder::new(&pattern).case_insensitive(options.has('i')).build();
    built.map_err(|error| Failure::Usage(format!("the pattern cannot be read: {error}")))
}

/// Whether lines are printed with the names of their files.
fn named(options: &Options) -> bool {
    !options.has('h') && (options.has('H') || options.has('r') || options.rest.len() > 1)
}

struct Search<'a> {
    regex: Regex,
    options: &'a Options,
    named: bool,
}

impl Search<'_> {
    fn path(&self, path: &str, found: &mut bool) -> Result<(), Failure> {
        if !Path::new(path).is_dir() || path == "-" {
            return self.file(path, found);
        }
        if !self.options.has('r') && !self.options.has('R') {
            return Err(failed(path, "is a folder (-r searches in it)"));
        }
        let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut paths: Vec<_> = entries.map_err(|error| failed(path, error))?.iter().map(fs::DirEntry::path).collect();
        paths.sort();
        paths.iter().try_for_each(|path| self.path(&path.to_string_lossy(), found))
    }

    fn file(&self, file: &str, found: &mut bool) -> Result<(), Failure> {
        let has = |letter| self.options.has(letter);
        let prefix = if self.named { format!("{file}:") } else { String::new() };
        let mut count = 0;
        for (n, text) in open(file)?.split(b'\n').enumerate() {
            let text = text.map_err(|error| failed(file, error))?;
            let text = String::from_utf8_lossy(&text);
            if self.regex.is_match(&text) == has('v') {
                continue;
            }
            (count, *found) = (count + 1, true);
            let number = if has('n') { format!("{}:", n + 1) } else { String::new() };
            if has('q') || has('l') {
                break;
            } else if has('o') {
                self.regex.find_iter(&text).for_each(|fit| line!("{prefix}{number}{}", fit.as_str()));
            } else if !has('c') {
                line!("{prefix}{number}{text}");
            }
        }
        if has('l') && count > 0 {
            line!("{file}");
        } else if has('c') {
            line!("{prefix}{count}");
        }
        Ok(())
    }
}
