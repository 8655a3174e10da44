use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::args::{LogFormat, LogOptions};

/// Sends log lines to standard error, for people on a terminal and as JSON elsewhere.
///
/// A filter that cannot be understood is reported and replaced by `info`: a typo must not hide the log.
pub(crate) fn install(options: &LogOptions) {
    let (filter, mistake) = match EnvFilter::try_new(&options.log_level) {
        Ok(filter) => (filter, None),
        Err(mistake) => (EnvFilter::new("info"), Some(mistake)),
    };
    let format = options.log_format.unwrap_or(if stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json });
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    if let Some(mistake) = mistake {
        tracing::warn!(%mistake, filter = options.log_level, "cannot understand the log filter; logging at info");
    }
}
