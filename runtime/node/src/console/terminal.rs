//! The line discipline of a terminal: what a kernel does between a keyboard and a program that knows nothing of keys.
//!
//! A client that asks for a terminal sends each key as it is pressed and shows what comes back. WASI has no way to ask for
//! raw input, so the terminal is always in its usual ("cooked") mode: it shows what is typed, lets the line be mended, and
//! hands it over at its end. Windows have no size in WASI either.

/// The longest line that is kept; more is not taken, as in Linux.
const LONGEST: usize = 4096;

/// What came of typing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A line, for the program to read.
    Line(Vec<u8>),
    /// The input ends (Ctrl-D at the beginning of a line).
    End,
    /// The program is to end (Ctrl-C, Ctrl-\).
    Interrupt,
}

/// The line that is being typed.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    line: Vec<u8>,
}

impl Terminal {
    /// Takes in keys. What the screen shows of them is added to `screen`.
    pub(crate) fn typed(&mut self, keys: &[u8], screen: &mut Vec<u8>) -> Vec<Typed> {
        keys.iter().filter_map(|key| self.key(*key, screen)).collect()
    }

    fn key(&mut self, key: u8, screen: &mut Vec<u8>) -> Option<Typed> {
        match key {
            b'\r' | b'\n' => {
                screen.extend_from_slice(b"\r\n");
                self.line.push(b'\n');
                return Some(Typed::Line(std::mem::take(&mut self.line)));
            }
            CTRL_C | CTRL_BACKSLASH => {
                screen.extend_from_slice(&[b'^', key + b'@', b'\r', b'\n']);
                self.line.clear();
                return Some(Typed::Interrupt);
            }
            CTRL_D if self.line.is_empty() => return Some(Typed::End),
            CTRL_D => return Some(Typed::Line(std::mem::take(&mut self.line))),
            BACKSPACE | DELETE => self.erase(screen),
            CTRL_U => {
                while !self.line.is_empty() {
                    self.erase(screen);
                }
            }
            CTRL_W => self.erase_word(screen),
            _ if self.line.len() >= LONGEST => screen.push(BELL),
            _ => {
                self.line.push(key);
                show(key, screen);
            }
        }
        None
    }

    /// Takes back one character, of however many bytes.
    fn erase(&mut self, screen: &mut Vec<u8>) {
        let Some(mut last) = self.line.pop() else { return };
        let columns = if is_control(last) { 2 } else { 1 };
        while last & 0xc0 == 0x80 {
            let Some(before) = self.line.pop() else { break };
            last = before;
        }
        for _ in 0..columns {
            screen.extend_from_slice(b"\x08 \x08");
        }
    }

    fn erase_word(&mut self, screen: &mut Vec<u8>) {
        while self.line.last() == Some(&b' ') {
            self.erase(screen);
        }
        while self.line.last().is_some_and(|last| *last != b' ') {
            self.erase(screen);
        }
    }
}

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BELL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const CTRL_W: u8 = 0x17;
const CTRL_BACKSLASH: u8 = 0x1c;
const DELETE: u8 = 0x7f;

fn is_control(key: u8) -> bool {
    key < 0x20 && key != b'\t'
}

fn show(key: u8, screen: &mut Vec<u8>) {
    if is_control(key) {
        screen.extend_from_slice(&[b'^', key + b'@']);
    } else {
        screen.push(key);
    }
}

/// What a program prints, as a screen needs it: each line begins at the left.
pub(crate) fn to_screen(bytes: &[u8]) -> Vec<u8> {
    let mut screen = Vec::with_capacity(bytes.len() + 16);
    for byte in bytes {
        if *byte == b'\n' {
            screen.push(b'\r');
        }
        screen.push(*byte);
    }
    screen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Typed {
        Typed::Line(text.as_bytes().to_vec())
    }

    #[test]
    fn keys_become_lines_and_show_on_the_screen() {
        let cases: [(&str, &[Typed], &str); 10] = [
            ("ls\r", &[line("ls\n")], "ls\r\n"),
            ("a\nb\n", &[line("a\n"), line("b\n")], "a\r\nb\r\n"),
            ("lx\x7fs\r", &[line("ls\n")], "lx\x08 \x08s\r\n"),
            ("\x7f\x08", &[], ""),
            ("ä\x7fb\r", &[line("b\n")], "ä\x08 \x08b\r\n"),
            ("one two \x17x\r", &[line("one x\n")], "one two \x08 \x08\x08 \x08\x08 \x08\x08 \x08x\r\n"),
            ("abc\x15\r", &[line("\n")], "abc\x08 \x08\x08 \x08\x08 \x08\r\n"),
            ("\x1b[A\x7f\r", &[line("\x1b[\n")], "^[[A\x08 \x08\r\n"),
            ("half\x04\x04", &[line("half"), Typed::End], "half"),
            ("typed\x03", &[Typed::Interrupt], "typed^C\r\n"),
        ];
        for (keys, typed, shown) in cases {
            let mut screen = Vec::new();
            assert_eq!(Terminal::default().typed(keys.as_bytes(), &mut screen), typed, "{keys:?}");
            assert_eq!(String::from_utf8_lossy(&screen), shown, "{keys:?}");
        }
    }

    #[test]
    fn a_line_is_bounded_and_can_still_be_ended() {
        let (mut terminal, mut screen) = (Terminal::default(), Vec::new());
        assert_eq!(terminal.typed(&[b'x'; LONGEST + 1], &mut screen), []);
        assert_eq!(screen.last(), Some(&BELL));
        assert_eq!(terminal.typed(b"\r", &mut screen).len(), 1);
    }

    #[test]
    fn lines_begin_at_the_left() {
        assert_eq!(to_screen(b"a\nb\r\n"), b"a\r\nb\r\r\n");
    }
}
