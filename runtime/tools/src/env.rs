//! env, hostname, printenv, pwd, tty: what a program is told.

use std::io::{IsTerminal, stdin};

use crate::line;
use crate::options::{Failure, Spec};

pub(crate) fn env(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec { help: "usage: env\n\nPrints the environment.", short: "", long: &[] };
    if let Some(more) = SPEC.parse(args)?.rest.first() {
        return Err(Failure::Usage(format!("{more:?}: WASI knows no way to run another program")));
    }
    std::env::vars().for_each(|(name, value)| line!("{name}={value}"));
    Ok(0)
}

pub(crate) fn printenv(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: printenv [NAME...]\n\nPrints variables of the environment, or all; fails if one is not there.",
        short: "",
        long: &[],
    };
    let names = SPEC.parse(args)?.rest;
    if names.is_empty() {
        return env(&[]);
    }
    let mut code = 0;
    for name in names {
        match std::env::var(&name) {
            Ok(value) => line!("{value}"),
            Err(_) => code = 1,
        }
    }
    Ok(code)
}

pub(crate) fn hostname(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec { help: "usage: hostname\n\nPrints the name of the Pod.", short: "", long: &[] };
    SPEC.parse(args)?;
    let name = std::env::var("HOSTNAME").map_err(|_| Failure::Failed("HOSTNAME is not set".to_owned()))?;
    line!("{name}");
    Ok(0)
}

pub(crate) fn pwd(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec =
        Spec { help: "usage: pwd\n\nPrints the folder that relative paths begin at.", short: "", long: &[] };
    SPEC.parse(args)?;
    let folder = std::env::current_dir().map_err(|error| Failure::Failed(error.to_string()))?;
    line!("{}", folder.display());
    Ok(0)
}

pub(crate) fn tty(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: tty\n\nSays whether the input is a terminal; fails if it is none.",
        short: "s",
        long: &[("silent", 's')],
    };
    let silent = SPEC.parse(args)?.has('s');
    let terminal = stdin().is_terminal();
    if !silent {
        line!("{}", if terminal { "/dev/tty" } else { "not a tty" });
    }
    Ok(u8::from(!terminal))
}
