//! Standard output. Who reads it may stop at any time, and that is no failure of the tool.

use std::cell::RefCell;
use std::fmt::Arguments;
use std::io::{BufWriter, Stdout, Write, stdout};

thread_local! {
    static OUTPUT: RefCell<BufWriter<Stdout>> = RefCell::new(BufWriter::with_capacity(32 * 1024, stdout()));
}

/// Prints a text; it may stay in the buffer until [`flush`].
pub(crate) fn print(text: Arguments<'_>) {
    OUTPUT.with_borrow_mut(|output| output.write_fmt(text).unwrap_or_default());
}

/// Prints bytes; they may stay in the buffer until [`flush`].
pub(crate) fn bytes(bytes: &[u8]) {
    OUTPUT.with_borrow_mut(|output| output.write_all(bytes).unwrap_or_default());
}

/// Hands over what was printed.
pub(crate) fn flush() {
    OUTPUT.with_borrow_mut(|output| output.flush().unwrap_or_default());
}

/// Prints one line.
#[macro_export]
macro_rules! line {
    ($($part:tt)*) => { $crate::output::print(format_args!("{}\n", format_args!($($part)*))) };
}
