//! test and [: files and values.

use std::fs;

use crate::options::Failure;

const HELP: &str = "usage: test EXPRESSION, or [ EXPRESSION ]\n\n  \
    -e -f -d -L -s PATH   it is there, is a file, a folder, a link, is not empty\n  \
    -r -w -x PATH         it is there: WASI has no permissions to ask for\n  \
    -n -z TEXT            it is not empty, is empty\n  \
    A = B, A != B         texts are equal, are not\n  \
    A -eq -ne -lt -le -gt -ge B   numbers\n  ! EXPRESSION";

pub(crate) fn test(args: &[String]) -> Result<u8, Failure> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if words == ["--help"] {
        return Err(Failure::Help(HELP));
    }
    holds(&words).map(|holds| u8::from(!holds))
}

pub(crate) fn bracket(args: &[String]) -> Result<u8, Failure> {
    match args {
        [expression @ .., last] if last == "]" => test(expression),
        _ => Err(Failure::Usage("\"]\" is missing".to_owned())),
    }
}

fn holds(words: &[&str]) -> Result<bool, Failure> {
    Ok(match words {
        [] => false,
        [text] => !text.is_empty(),
        [a, operator, b] if compare(a, operator, b)?.is_some() => compare(a, operator, b)?.unwrap_or_default(),
        ["!", rest @ ..] => !holds(rest)?,
        ["-n", text] => !text.is_empty(),
        ["-z", text] => text.is_empty(),
        ["-e" | "-r" | "-w" | "-x", path] => fs::metadata(path).is_ok(),
        ["-f", path] => fs::metadata(path).is_ok_and(|meta| meta.is_file()),
        ["-d", path] => fs::metadata(path).is_ok_and(|meta| meta.is_dir()),
        ["-s", path] => fs::metadata(path).is_ok_and(|meta| meta.len() > 0),
        ["-L" | "-h", path] => fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()),
        _ => return Err(Failure::Usage(format!("cannot read the expression {:?}", words.join(" ")))),
    })
}

fn compare(a: &str, operator: &str, b: &str) -> Result<Option<bool>, Failure> {
    if matches!(operator, "=" | "==") {
        return Ok(Some(a == b));
    } else if operator == "!=" {
        return Ok(Some(a != b));
    }
    let number = |text: &str| text.parse::<i64>().map_err(|_| Failure::Usage(format!("{text:?} is no whole number")));
    let compared = || Ok::<_, Failure>(number(a)?.cmp(&number(b)?));
    Ok(Some(match operator {
        "-eq" => compared()?.is_eq(),
        "-ne" => compared()?.is_ne(),
        "-lt" => compared()?.is_lt(),
        "-le" => compared()?.is_le(),
        "-gt" => compared()?.is_gt(),
        "-ge" => compared()?.is_ge(),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn expressions() {
        for (text, expected) in [
            ("", Some(false)),
            ("a", Some(true)),
            ("a = a", Some(true)),
            ("a != a", Some(false)),
            ("! a = b", Some(true)),
            ("2 -lt 10", Some(true)),
            ("-d /", Some(true)),
            ("! -d /", Some(false)),
            ("-f /", Some(false)),
            ("a -lt 1", None),
            ("a b", None),
        ] {
            let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
            assert_eq!(holds(&words).ok(), expected, "{text}");
        }
    }
}
