//! Options, as `getopt_long` reads them.

use std::fmt::Display;
use std::path::Path;

/// Why a tool did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was asked for its help: exit code 0.
    Help(&'static str),
    /// It was asked in a way that it does not understand: exit code 2.
    Usage(String),
    /// It could not: exit code 1.
    Failed(String),
}

/// What a tool's options are.
pub(crate) struct Spec {
    /// What `--help` prints.
    pub(crate) help: &'static str,
    /// The letters; `:` behind one that takes a value.
    pub(crate) short: &'static str,
    /// Long names, and the letter that each stands for.
    pub(crate) long: &'static [(&'static str, char)],
}

/// The options that were given, and what follows them.
#[derive(Debug, Default)]
pub(crate) struct Options {
    given: Vec<(char, String)>,
    pub(crate) rest: Vec<String>,
}

impl Spec {
    pub(crate) fn parse(&self, args: &[String]) -> Result<Options, Failure> {
        let mut options = Options::default();
        let mut args = args.iter().cloned();
        while let Some(arg) = args.next() {
            if arg == "--" {
                options.rest.extend(args);
                break;
            } else if let Some(long) = arg.strip_prefix("--") {
                self.long(long, &mut args, &mut options)?;
            } else if let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                self.letters(letters, &mut args, &mut options)?;
            } else {
                options.rest.push(arg);
            }
        }
        Ok(options)
    }

    fn long(&self, arg: &str, args: &mut impl Iterator<Item = String>, options: &mut Options) -> Result<(), Failure> {
        let (name, value) = arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value.to_owned())));
        let known = self.long.iter().find(|(long, _)| *long == name).map(|(_, letter)| *letter);
        let letter = match known {
            Some(letter) => letter,
            None if name == "help" => return Err(Failure::Help(self.help)),
            None => return Err(Failure::Usage(format!("unknown option --{name}"))),
        };
        let value = match (self.takes_value(letter), value) {
            (Some(true), None) => args.next().ok_or_else(|| Failure::Usage(format!("--{name} needs a value")))?,
            (Some(true), Some(value)) => value,
            (_, None) => String::new(),
            (_, Some(_)) => return Err(Failure::Usage(format!("--{name} takes no value"))),
        };
        options.given.push((letter, value));
        Ok(())
    }

    fn letters(
        &self,
        letters: &str,
        args: &mut impl Iterator<Item = String>,
        options: &mut Options,
    ) -> Result<(), Failure> {
        for (at, letter) in letters.char_indices() {
            match self.takes_value(letter) {
                None if letter == 'h' => return Err(Failure::Help(self.help)),
                None => return Err(Failure::Usage(format!("unknown option -{letter}"))),
                Some(false) => options.given.push((letter, String::new())),
                Some(true) => {
                    let after = &letters[at + letter.len_utf8()..];
                    let own = Some(after.to_owned()).filter(|after| !after.is_empty());
                    let value = own.or_else(|| args.next());
                    let value = value.ok_or_else(|| Failure::Usage(format!("-{letter} needs a value")))?;
                    options.given.push((letter, value));
                    break;
                }
            }
        }
        Ok(())
    }

    fn takes_value(&self, letter: char) -> Option<bool> {
        let at = self.short.find(letter).filter(|_| letter != ':')?;
        Some(self.short[at + letter.len_utf8()..].starts_with(':'))
    }
}

impl Options {
    pub(crate) fn has(&self, letter: char) -> bool {
        self.given.iter().any(|(given, _)| *given == letter)
    }

    /// The value that was given last.
    pub(crate) fn value(&self, letter: char) -> Option<&str> {
        self.given.iter().rev().find(|(given, _)| *given == letter).map(|(_, value)| value.as_str())
    }

    pub(crate) fn values(&self, letter: char) -> impl Iterator<Item = &str> {
        self.given.iter().filter(move |(given, _)| *given == letter).map(|(_, value)| value.as_str())
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, letter: char) -> Result<Option<T>, Failure> {
        let parse = |text: &str| text.parse().map_err(|_| Failure::Usage(format!("-{letter}: {text:?} is no number")));
        self.value(letter).map(parse).transpose()
    }

    /// What follows the options; the standard input if nothing does.
    pub(crate) fn inputs(&self) -> Vec<String> {
        if self.rest.is_empty() { vec!["-".to_owned()] } else { self.rest.clone() }
    }
}

pub(crate) fn failed(what: impl Display, error: impl Display) -> Failure {
    Failure::Failed(format!("{what}: {error}"))
}

/// Does something with each file; what fails is told, and the others are done all the same.
pub(crate) fn each(
    tool: &str,
    files: &[String],
    mut act: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let mut code = 0;
    for file in files {
        match act(file) {
            Err(Failure::Failed(problem)) => {
                eprintln!("{tool}: {problem}");
                code = 1;
            }
            other => other?,
        }
    }
    Ok(code)
}

/// A path's last part.
pub(crate) fn file_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: Spec = Spec { help: "help", short: "abn:", long: &[("all", 'a'), ("number", 'n')] };

    fn parse(text: &str) -> Result<Options, Failure> {
        SPEC.parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_as_getopt_does() {
        for (text, a, b, n, rest) in [
            ("-ab x", true, true, None, "x"),
            ("-an3 x -b y", true, true, Some("3"), "x y"),
            ("--all --number 4 -", true, false, Some("4"), "-"),
            ("--number=5 -n 6", false, false, Some("6"), ""),
            ("x -- -a", false, false, None, "x -a"),
        ] {
            let options = parse(text).unwrap();
            assert_eq!((options.has('a'), options.has('b'), options.value('n')), (a, b, n), "{text}");
            assert_eq!(options.rest.join(" "), rest, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, problem) in [
            ("-x", "unknown option -x"),
            ("--none", "unknown option --none"),
            ("-n", "-n needs a value"),
            ("--all=1", "--all takes no value"),
        ] {
            let Err(Failure::Usage(said)) = parse(text) else { panic!("{text}") };
            assert_eq!(said, problem);
        }
        assert!(matches!(parse("--help"), Err(Failure::Help("help"))));
    }
}
