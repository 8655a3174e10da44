//! A line for each request, in the Combined Log Format of Apache and nginx, with what Traefik adds to it: the route, the
//! backend and how long it took.

use std::fmt::Write as _;
use std::io::Write;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Zoned;

use super::figures::Figures;

/// Lines that may wait to be written; past it they are lost, and counted, so that a slow disk slows down nobody.
const WAITING: usize = 8192;

/// What is said of one request.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) client: IpAddr,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) version: http::Version,
    pub(crate) code: u16,
    pub(crate) bytes: u64,
    pub(crate) referer: &'a str,
    pub(crate) agent: &'a str,
    /// The host that was asked for.
    pub(crate) host: &'a str,
    /// The Ingress, as `NAMESPACE/NAME`.
    pub(crate) route: &'a str,
    /// The Service, as `NAMESPACE/NAME:PORT`.
    pub(crate) backend: &'a str,
    pub(crate) took: Duration,
}

impl Line<'_> {
    /// The line, with its end.
    pub(crate) fn text(&self, now: &Zoned) -> String {
        let time = now.strftime("%d/%b/%Y:%H:%M:%S %z");
        let (client, code, bytes, took) = (self.client.to_canonical(), self.code, self.bytes, self.took.as_millis());
        let (method, version) = (self.method, self.version);
        let mut text = format!("{client} - - [{time}] \"{method} ");
        escape(self.target, &mut text);
        // Writing to a string cannot fail.
        let _ = write!(text, " {version:?}\" {code} {bytes}");
        for quoted in [self.referer, self.agent, self.host, self.route, self.backend] {
            text.push_str(" \"");
            escape(if quoted.is_empty() { "-" } else { quoted }, &mut text);
            text.push('"');
        }
        let _ = writeln!(text, " {took}ms");
        text
    }
}

/// As nginx does: what could end a field or a line is written as its code.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                let _ = write!(out, "\\x{:02X}", u32::from(character));
            }
            control if control.is_control() => {
                let _ = write!(out, "\\x{:02X}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
}

/// Takes lines, and writes them in a thread of its own. Dropping it waits until those that were taken are written.
pub(crate) struct AccessLog {
    /// `None` only while it is dropped.
    lines: Option<SyncSender<String>>,
    writer: Option<JoinHandle<()>>,
    figures: Figures,
}

impl AccessLog {
    pub(crate) fn new(to: Box<dyn Write + Send>, figures: Figures) -> AccessLog {
        let (lines, received) = sync_channel(WAITING);
        let writer = std::thread::spawn(move || write_all(to, &received));
        AccessLog { lines: Some(lines), writer: Some(writer), figures }
    }

    pub(crate) fn write(&self, line: &Line<'_>) {
        let sent = self.lines.as_ref().map(|lines| lines.try_send(line.text(&Zoned::now())));
        if !matches!(sent, Some(Ok(()))) {
            self.figures.lost_line();
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.lines = None;
        // A panic of the writer has been printed; there is nothing more to do.
        self.writer.take().map(JoinHandle::join);
    }
}

/// Writes what waits, then flushes.
fn write_all(mut to: Box<dyn Write + Send>, lines: &Receiver<String>) {
    while let Ok(first) = lines.recv() {
        let waiting = std::iter::once(first).chain(lines.try_iter());
        let text: String = waiting.collect();
        if let Err(error) = to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
            tracing::warn!(%error, "the access log cannot be written; no more of it is");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_taken_is_written_before_the_log_is_gone() {
        let kept = Kept::default();
        let log = AccessLog::new(Box::new(kept.clone()), Figures::default());
        (0..100).for_each(|_| log.write(&line()));
        drop(log);
        assert_eq!(String::from_utf8(kept.0.lock().clone()).unwrap().lines().count(), 100);
    }

    fn line() -> Line<'static> {
        Line {
            client: "192.0.2.7".parse().unwrap(),
            method: "GET",
            target: "/a?b=\"c\"",
            version: http::Version::HTTP_11,
            code: 200,
            bytes: 14,
            referer: "",
            agent: "curl/8\n",
            host: "a.example",
            route: "shop/web",
            backend: "shop/web:80",
            took: Duration::from_millis(3),
        }
    }

    #[test]
    fn a_line_reads_as_people_know_it() {
        let now = "2026-11-24T20:05:00+00:00[UTC]".parse().unwrap();
        assert_eq!(
            line().text(&now),
            "192.0.2.7 - - [24/Nov/2026:20:05:00 +0000] \"GET /a?b=\\x22c\\x22 HTTP/1.1\" 200 14 \"-\" \"curl/8\\x0A\" \
             \"a.example\" \"shop/web\" \"shop/web:80\" 3ms\n"
        );
    }
}
