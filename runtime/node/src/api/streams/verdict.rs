//! How a program ended, as the `Status` that clients read on the error channel.

use serde_json::{Value, json};

use crate::runtime::{ExecError, Exit};

/// What a session says at its end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    /// What the person should read, on standard error.
    pub(super) words: Option<String>,
    pub(super) status: Value,
}

impl Verdict {
    /// The session is over, and there is no code to tell.
    pub(super) fn success() -> Verdict {
        Verdict { words: None, status: json!({"metadata": {}, "status": "Success"}) }
    }

    /// The program has ended with a code.
    pub(super) fn code(code: i32) -> Verdict {
        if code == 0 {
            return Verdict::success();
        }
        let status = json!({
            "metadata": {},
            "status": "Failure",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        });
        Verdict { words: None, status }
    }

    /// The session cannot go on, for a reason of the node's.
    pub(super) fn failure(words: &str) -> Verdict {
        let message = format!("Internal error occurred: {words}");
        let status = json!({
            "metadata": {}, "status": "Failure", "message": message, "reason": "InternalError",
            "details": {"causes": [{"message": words}]}, "code": 500,
        });
        Verdict { words: None, status }
    }
}

impl From<Exit> for Verdict {
    /// Nobody sees what ended the program but here: a trap has no log of its own.
    fn from(exit: Exit) -> Verdict {
        Verdict { words: exit.message, ..Verdict::code(exit.code) }
    }
}

impl From<&ExecError> for Verdict {
    /// The codes are a shell's.
    fn from(error: &ExecError) -> Verdict {
        let code = match error {
            ExecError::NotFound { .. } => 127,
            ExecError::NotExecutable { .. } => 126,
            ExecError::Refused(_) => {
                return Verdict::failure(&format!("error executing command in container: {error}"));
            }
        };
        Verdict { words: Some(error.to_string()), ..Verdict::code(code) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_find_the_code_where_they_look_for_it() {
        assert_eq!(Verdict::code(0), Verdict::success());
        let verdict = Verdict::from(Exit { code: 3, oom_killed: false, message: None });
        assert_eq!(verdict.status["reason"], "NonZeroExitCode");
        assert_eq!(verdict.status["details"]["causes"][0], json!({"reason": "ExitCode", "message": "3"}));
    }

    #[test]
    fn what_is_not_there_is_127_and_the_person_reads_why() {
        let error = ExecError::NotFound { name: "sh".into(), offered: "there is ls".into() };
        let verdict = Verdict::from(&error);
        assert_eq!(verdict.status["details"]["causes"][0]["message"], "127");
        assert_eq!(verdict.words.unwrap(), "exec: \"sh\": executable file not found: there is ls");
        let refused = Verdict::from(&ExecError::Refused("no more".into()));
        assert_eq!(refused.status["code"], 500);
        assert!(refused.status["message"].as_str().unwrap().ends_with("in container: no more"));
    }
}
