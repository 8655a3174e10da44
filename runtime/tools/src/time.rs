//! date and sleep.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::line;
use crate::options::{Failure, Spec};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

pub(crate) fn sleep(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: sleep NUMBER[smhd]...\n\nWaits for so many seconds (or minutes, hours, days), together.",
        short: "",
        long: &[],
    };
    let times = SPEC.parse(args)?.rest;
    if times.is_empty() {
        return Err(Failure::Usage("say how long".to_owned()));
    }
    let total = times.iter().map(|text| duration(text)).sum::<Result<Duration, _>>()?;
    std::thread::sleep(total);
    Ok(0)
}

fn duration(text: &str) -> Result<Duration, Failure> {
    let (number, factor) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1.0),
        Some((at, 'm')) => (&text[..at], 60.0),
        Some((at, 'h')) => (&text[..at], 3600.0),
        Some((at, 'd')) => (&text[..at], 86400.0),
        _ => (text, 1.0),
    };
    let seconds = number.parse::<f64>().ok().map(|number| number * factor);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| Failure::Usage(format!("{text:?} is no time")))
}

pub(crate) fn date(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: date [-u] [+FORMAT]\n\nPrints the time, in UTC: WASI knows no other zone.\n\n  \
               FORMAT may hold %Y %m %d %H %M %S %s %N %F %T %a %b %e %j %Z %n %%",
        short: "uI",
        long: &[("utc", 'u'), ("iso-8601", 'I')],
    };
    let options = SPEC.parse(args)?;
    let now = Moment::of(SystemTime::now());
    let text = match options.rest.as_slice() {
        [] if options.has('I') => now.format("%F")?,
        [] => now.format("%a %b %e %T %Z %Y")?,
        [format] if format.starts_with('+') => now.format(&format[1..])?,
        _ => return Err(Failure::Usage("a format begins with +".to_owned())),
    };
    line!("{text}");
    Ok(0)
}

/// A moment in the calendar, in UTC.
pub(crate) struct Moment {
    seconds: i64,
    nanoseconds: u32,
    year: i64,
    month: usize,
    day: i64,
    day_of_year: i64,
}

impl Moment {
    pub(crate) fn of(time: SystemTime) -> Moment {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment::at(since.as_secs() as i64, since.subsec_nanos())
    }

    /// The proleptic Gregorian calendar, counted in eras of 400 years that begin in March.
    fn at(seconds: i64, nanoseconds: u32) -> Moment {
        let days = seconds.div_euclid(86400) + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
        let from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * from_march + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let day_of_year = if month > 2 { from_march + 60 + i64::from(leap) } else { from_march - 305 };
        let day = from_march - (153 * shifted + 2) / 5 + 1;
        Moment { seconds, nanoseconds, year, month: month as usize, day, day_of_year }
    }

    pub(crate) fn format(&self, format: &str) -> Result<String, Failure> {
        let second = self.seconds.rem_euclid(86400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let weekday = (self.seconds.div_euclid(86400) + 4).rem_euclid(7) as usize;
        let mut text = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            text += &match chars.next() {
                Some('Y') => self.year.to_string(),
                Some('m') => format!("{:02}", self.month),
                Some('d') => format!("{:02}", self.day),
                Some('e') => format!("{:2}", self.day),
                Some('H') => format!("{hour:02}"),
                Some('M') => format!("{minute:02}"),
                Some('S') => format!("{second:02}"),
                Some('s') => self.seconds.to_string(),
                Some('N') => format!("{:09}", self.nanoseconds),
                Some('j') => format!("{:03}", self.day_of_year),
                Some('F') => format!("{}-{:02}-{:02}", self.year, self.month, self.day),
                Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
                Some('a') => DAYS[weekday].to_owned(),
                Some('b') => MONTHS[self.month - 1].to_owned(),
                Some('Z') => "UTC".to_owned(),
                Some('n') => "\n".to_owned(),
                Some('%') => "%".to_owned(),
                other => return Err(Failure::Usage(format!("unknown format %{}", other.unwrap_or(' ')))),
            };
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_right_at_its_edges() {
        for (seconds, expected) in [
            (0, "Thu 1970-01-01 00:00:00 001"),
            (951_782_399, "Mon 2000-02-28 23:59:59 059"),
            (951_782_400, "Tue 2000-02-29 00:00:00 060"),
            (951_868_800, "Wed 2000-03-01 00:00:00 061"),
            (4_107_542_400, "Mon 2100-03-01 00:00:00 060"),
            (1_798_761_599, "Thu 2026-12-31 23:59:59 365"),
        ] {
            assert_eq!(Moment::at(seconds, 0).format("%a %F %T %j").unwrap(), expected);
        }
    }

    #[test]
    fn times_are_read() {
        for (text, expected) in [("2", Some(2000)), ("0.5", Some(500)), ("1m", Some(60_000)), ("x", None), ("-1", None)]
        {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
    }
}
