//! The tools that can be run inside every container: one component, which looks at the name that it is called by.
//!
//! Each is what a person reaches for when something does not work, with the options that come to mind (those of busybox,
//! mostly). `tools.txt` names them all.

mod check;
mod env;
mod files;
mod find;
mod grep;
mod list;
mod net;
mod new_file;
mod options;
mod output;
mod processes;
mod sha256;
mod tar;
mod text;
mod time;
mod tree;
mod wget;

use std::process::ExitCode;

use options::Failure;

/// Each tool's name, and in one line what it does; the node reads the same file.
const LIST: &str = include_str!("../tools.txt");

/// Runs with its arguments, and answers its exit code.
type Tool = fn(&[String]) -> Result<u8, Failure>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let own = args.first().map(|path| path.rsplit('/').next().unwrap_or_default());
    // Called by a name of its own, such as that of a container, the tool is the first argument.
    match own.and_then(tool) {
        Some(run) => run_tool(own.unwrap_or_default(), run, &args[1..]),
        None => match args.get(1).map(String::as_str) {
            None | Some("--help") => {
                output::print(format_args!("usage: TOOL [ARGUMENT...], where TOOL is one of\n\n{LIST}"));
                ExitCode::SUCCESS
            }
            Some(name) => match tool(name) {
                Some(run) => run_tool(name, run, &args[2..]),
                None => {
                    eprintln!("tools: there is no tool {name:?}; --help lists those that there are");
                    exit(127)
                }
            },
        },
    }
}

fn run_tool(name: &str, run: Tool, args: &[String]) -> ExitCode {
    let code = match run(args) {
        Ok(code) => code,
        Err(Failure::Help(help)) => {
            output::print(format_args!("{help}\n"));
            0
        }
        Err(Failure::Usage(problem)) => {
            eprintln!("{name}: {problem}\nTry '{name} --help'.");
            2
        }
        Err(Failure::Failed(problem)) => {
            eprintln!("{name}: {problem}");
            1
        }
    };
    exit(code)
}

/// `std` can only say "success" or "failure" in WASI 0.2.
fn exit(code: u8) -> ExitCode {
    output::flush();
    #[cfg(target_os = "wasi")]
    wasip2::cli::exit::exit_with_code(code);
    ExitCode::from(code)
}

fn tool(name: &str) -> Option<Tool> {
    Some(match name {
        "[" => check::bracket,
        "cat" => text::cat,
        "cp" => tree::cp,
        "date" => time::date,
        "du" => list::du,
        "echo" => text::echo,
        "env" => env::env,
        "false" => |_| Ok(1),
        "find" => find::find,
        "grep" => grep::grep,
        "head" => text::head,
        "hostname" => env::hostname,
        "ls" => list::ls,
        "mkdir" => files::mkdir,
        "mv" => tree::mv,
        "nc" => net::nc,
        "nslookup" => net::nslookup,
        "printenv" => env::printenv,
        "ps" => processes::ps,
        "pwd" => env::pwd,
        "readlink" => files::readlink,
        "rm" => tree::rm,
        "sha256sum" => sha256::sha256sum,
        "sleep" => time::sleep,
        "stat" => list::stat,
        "tail" => text::tail,
        "tar" => tar::tar,
        "tee" => text::tee,
        "test" => check::test,
        "touch" => files::touch,
        "true" => |_| Ok(0),
        "tty" => env::tty,
        "wc" => text::wc,
        "wget" => wget::wget,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{LIST, tool};

    #[test]
    fn every_tool_that_is_listed_is_there() {
        for line in LIST.lines() {
            let name = line.split_whitespace().next().unwrap();
            assert!(tool(name).is_some(), "{name}");
        }
    }
}
