//! The smallest job: counts on standard output, then ends with the exit code it was given.
//!
//! `counter --count 5 --period-ms 1000 --exit 0`

use std::process::exit;
use std::time::Duration;

struct Plan {
    count: u64,
    period: Duration,
    exit: u8,
}

fn main() {
    let plan = Plan::from_args(std::env::args().skip(1)).unwrap_or_else(|problem| {
        eprintln!("{problem}\nusage: counter [--count N] [--period-ms M] [--exit CODE]");
        exit(1)
    });
    for n in 1..=plan.count {
        println!("{n}");
        std::thread::sleep(plan.period);
    }
    // `std::process::exit` can only say "success" or "failure" in WASI 0.2.
    wasip2::cli::exit::exit_with_code(plan.exit);
}

impl Plan {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Plan, String> {
        let mut plan = Plan { count: 5, period: Duration::from_secs(1), exit: 0 };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or(format!("{flag} needs a value"))?;
            let number = || value.parse::<u64>().map_err(|e| format!("{flag} {value}: {e}"));
            match flag.as_str() {
                "--count" => plan.count = number()?,
                "--period-ms" => plan.period = Duration::from_millis(number()?),
                "--exit" => plan.exit = value.parse().map_err(|e| format!("{flag} {value}: {e}"))?,
                _ => return Err(format!("unknown flag {flag}")),
            }
        }
        Ok(plan)
    }
}
