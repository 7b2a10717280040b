//! How a command fails: one sentence, a hint, and an exit code that means something.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use serde_json::{Value, json};
use soma_host::Interrupted;

/// The exit codes, as `soma --help` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The tool failed, or what was asked for could not be done.
    Failed = 1,
    /// The command line is wrong, or names a file that cannot be used. clap exits with it too.
    Usage = 2,
    /// No host answers, or no marketplace.
    Unreachable = 3,
    /// The key, the token, a budget or the trust policy does not allow it, or there is no key.
    NotAllowed = 4,
    /// The host has no such capsule, tool, tenant or key.
    NotFound = 5,
    /// The input is not JSON, or does not fit the tool's schema.
    InvalidInput = 6,
    /// The host or a tool's upstream is busy; the same request may succeed later.
    Busy = 7,
    /// SIGINT ended it, which took back what it had done. Shells say the same of what it kills.
    Interrupted = 130,
    /// SIGTERM did.
    Terminated = 143,
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    /// More about it, a line each: where in the input, and what.
    details: Vec<String>,
    hint: Option<String>,
    /// The host's own words (RFC 9457), or the usage of a call that failed here.
    data: Option<Value>,
    /// Nobody reads on: nothing is to be said.
    silent: bool,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            details: Vec::new(),
            hint: None,
            data: None,
            silent: false,
        }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// A file that is named cannot be read.
    pub(crate) fn unreadable(path: &Path, error: impl fmt::Display) -> Self {
        Self::usage(format_args!("cannot read {}: {error}", path.display()))
    }

    /// What the host answered cannot be read.
    pub(crate) fn damaged(error: impl fmt::Display) -> Self {
        Self::failed(format_args!("the host's answer is damaged: {error}"))
    }

    /// Whether it is for want of a key that allows it.
    pub(crate) fn is_for_want_of_a_key(&self) -> bool {
        self.exit == Exit::NotAllowed
    }

    /// Whether it is the problem of this code, in the words of a host.
    pub(crate) fn is_problem(&self, code: &str) -> bool {
        let kind = self
            .data
            .as_ref()
            .and_then(|problem| problem["type"].as_str());
        kind.is_some_and(|kind| kind.rsplit(':').next() == Some(code))
    }

    /// What the call used until it failed, where it had begun.
    pub(crate) fn used(&self) -> Option<&Value> {
        self.member("usage")
    }

    /// A member of the problem, in the words of a host.
    pub(crate) fn member(&self, name: &str) -> Option<&Value> {
        self.data.as_ref()?.get(name)
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// More lines about it.
    pub(crate) fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    /// What `--json` shows besides.
    pub(crate) fn data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn detail_lines(&self) -> &[String] {
        &self.details
    }

    pub(crate) fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    pub(crate) fn code(&self) -> ExitCode {
        if self.silent {
            return ExitCode::SUCCESS;
        }
        ExitCode::from(self.exit as u8)
    }

    /// What `--json` writes to standard error.
    pub(crate) fn to_json(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "details": self.details,
            "hint": self.hint,
            "exit": self.exit as u8,
            "data": self.data,
        }})
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let mut failure = Self::failed(&error);
        // The reader of a pipe has seen enough, as in `soma list | head`.
        failure.silent = error.kind() == io::ErrorKind::BrokenPipe;
        failure
    }
}

/// The command line is wrong: what `--json` shows in place of clap's own words.
impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        if matches!(
            error.kind(),
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        ) {
            return Self::usage("a command is missing").hint("`--help` lists the commands");
        }
        let text = error.render().to_string();
        let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let rest = rest.lines().map(str::trim).filter(|line| !line.is_empty());
        Self::usage(message.trim_end()).details(rest.map(str::to_owned))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let exit = match error.downcast_ref() {
            Some(Interrupted::Int) => Exit::Interrupted,
            Some(Interrupted::Term) => Exit::Terminated,
            None => Exit::Failed,
        };
        Self::new(exit, format_args!("{error:#}"))
    }
}
