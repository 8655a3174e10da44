use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker};

use crate::host::Host;
use crate::output::Stream;

/// The draft, and how toolchains name it that leave the version of a draft away.
const NAMES: [&str; 2] = ["wasi:logging/logging@0.1.0-draft", "wasi:logging/logging"];

pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    for name in NAMES {
        linker.instance(name)?.func_wrap("log", |store: StoreContextMut<'_, Host>, record: Record| {
            let (level, context, message) = record;
            store.data().output().write(Stream::Stderr, line(level, &context, &message).as_bytes());
            Ok(())
        })?;
    }
    Ok(())
}

type Record = (Level, String, String);

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "guests make them")]
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
    #[component(name = "critical")]
    Critical,
}

/// One record in one line: `LEVEL context: message`. Whoever splits a log at line ends gets whole records, and no message
/// can pass for another one.
fn line(level: Level, context: &str, message: &str) -> String {
    let level = match level {
        Level::Trace => "TRACE",
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Error => "ERROR",
        Level::Critical => "CRITICAL",
    };
    let mut line = format!("{level} ");
    if !context.is_empty() {
        push_escaped(&mut line, context);
        line.push_str(": ");
    }
    push_escaped(&mut line, message.trim_end_matches(['\r', '\n']));
    line.push('\n');
    line
}

fn push_escaped(line: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            char => line.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line() {
        let cases = [
            (Level::Info, "counter", "started", "INFO counter: started\n"),
            (Level::Critical, "", "no context", "CRITICAL no context\n"),
            (Level::Warn, "a\nb", "one\r\ntwo\n", "WARN a\\nb: one\\r\\ntwo\n"),
            (Level::Error, "", "", "ERROR \n"),
        ];
        for (level, context, message, expected) in cases {
            assert_eq!(line(level, context, message), expected);
        }
    }
}
