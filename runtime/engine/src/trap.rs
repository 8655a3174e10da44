use wasmtime::WasmBacktrace;

/// Frames that are kept of a backtrace: a container's status has room for no more.
const FRAMES: usize = 8;

/// What ended a guest: the cause first, then where it was.
pub(crate) fn describe(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return format!("{error:#}") };
    let mut text = error.root_cause().to_string();
    let at = backtrace.to_string();
    // The first line is its title.
    for line in at.lines().skip(1).take(FRAMES) {
        text.push('\n');
        text.push_str(line.trim_end());
    }
    let left = backtrace.frames().len().saturating_sub(FRAMES);
    if left > 0 {
        text.push_str(&format!("\n    and {left} more"));
    }
    text
}
