//! What a session is to carry, as the kubelet's query says it.

use axum::http::StatusCode;

use super::Refusal;

/// The pairs of a query, in order.
pub(super) type Pairs = Vec<(String, String)>;

/// Ports of one connection: each has two channels, whose numbers are bytes.
const MOST_PORTS: usize = 127;

/// The streams of a program that the client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) input: bool,
    pub(super) output: bool,
    pub(super) error: bool,
    pub(super) terminal: bool,
}

impl Wanted {
    pub(super) fn read(pairs: &Pairs) -> Result<Wanted, Refusal> {
        let set = |name: &str| pairs.iter().any(|(key, value)| key == name && (value == "1" || value == "true"));
        let terminal = set("tty");
        // A terminal has one stream.
        let wanted = Wanted { input: set("input"), output: set("output"), error: set("error") && !terminal, terminal };
        if !wanted.input && !wanted.output && !wanted.error {
            let words = "you must specify at least 1 of stdin, stdout, stderr";
            return Err((StatusCode::BAD_REQUEST, words.to_owned()));
        }
        Ok(wanted)
    }
}

/// A program's name and arguments.
pub(super) fn command(pairs: &Pairs) -> Result<Vec<String>, Refusal> {
    let words: Vec<String> = pairs.iter().filter(|(key, _)| key == "command").map(|(_, word)| word.clone()).collect();
    if words.first().is_none_or(String::is_empty) {
        let words = "you must specify at least one command for the container";
        return Err((StatusCode::BAD_REQUEST, words.to_owned()));
    }
    Ok(words)
}

/// The ports to forward: `port=80&port=443`, or `port=80,443`.
pub(super) fn ports(pairs: &Pairs) -> Result<Vec<u16>, Refusal> {
    let bad = |words: String| (StatusCode::BAD_REQUEST, words);
    let words = pairs.iter().filter(|(key, _)| key == "port").flat_map(|(_, ports)| ports.split(','));
    let port = |word: &str| match word.trim().parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(bad(format!("port {word:?} must be a number from 1 to 65535"))),
    };
    let ports = words.map(port).collect::<Result<Vec<u16>, _>>()?;
    match ports.len() {
        0 => Err(bad("query parameter \"port\" is required".to_owned())),
        count if count > MOST_PORTS => Err(bad(format!("{count} ports are too many for one connection: {MOST_PORTS}"))),
        _ => Ok(ports),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &str) -> Pairs {
        query.split('&').filter_map(|pair| pair.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    #[test]
    fn streams_are_read_and_a_terminal_has_one() {
        let all = Wanted { input: true, output: true, error: true, terminal: false };
        for (query, expected) in [
            ("input=1&output=1&error=1", Some(all)),
            ("input=1&output=1&error=1&tty=1", Some(Wanted { error: false, terminal: true, ..all })),
            ("output=true", Some(Wanted { output: true, ..Wanted::default() })),
            ("output=0&tty=1", None),
            ("error=1&tty=1", None),
        ] {
            assert_eq!(Wanted::read(&pairs(query)).ok(), expected, "{query}");
        }
    }

    #[test]
    fn a_command_is_all_its_words_in_order() {
        assert_eq!(command(&pairs("command=ls&output=1&command=-l&command=")).unwrap(), ["ls", "-l", ""]);
        assert!(command(&pairs("output=1")).is_err());
        assert!(command(&pairs("command=")).is_err());
    }

    #[test]
    fn ports_are_listed_in_either_way() {
        for (query, expected) in [
            ("port=80&port=443", Ok(vec![80, 443])),
            ("port=80,443&port=1", Ok(vec![80, 443, 1])),
            ("", Err("\"port\" is required")),
            ("port=0", Err("port \"0\" must be")),
            ("port=80,", Err("port \"\" must be")),
            ("port=65536", Err("port \"65536\" must be")),
        ] {
            match (ports(&pairs(query)), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{query}"),
                (Err((_, said)), Err(words)) => assert!(said.contains(words), "{query}: {said}"),
                (found, _) => panic!("{query}: {found:?}"),
            }
        }
        let many = vec![("port".to_owned(), "1".to_owned()); MOST_PORTS + 1];
        assert!(ports(&many).is_err() && ports(&many[1..].to_vec()).is_ok());
    }
}
