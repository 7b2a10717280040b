//! Asking the person at the terminal: for a passphrase, or yes or no. Nothing secret comes from
//! the command line, which other users can read.

use std::env;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{QueueSelector, tcflush};
use secrecy::{ExposeSecret as _, SecretString};

use crate::failure::Failure;
use crate::screen::visible;

const VARIABLE: &str = "SOMA_PASSPHRASE";

/// The passphrase of a key that is there.
pub(crate) fn known(key: &str) -> Result<SecretString, Failure> {
    match from_variable() {
        Some(passphrase) => Ok(passphrase),
        None => ask(&format!("Passphrase of the key `{key}`: ")),
    }
}

/// A passphrase for a new key, asked for twice.
pub(crate) fn new(key: &str) -> Result<SecretString, Failure> {
    if let Some(passphrase) = from_variable() {
        return checked(passphrase);
    }
    let first = checked(ask(&format!("New passphrase for the key `{key}`: "))?)?;
    let second = ask("The same again: ")?;
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(Failure::usage("the two passphrases differ"))
    }
}

fn checked(passphrase: SecretString) -> Result<SecretString, Failure> {
    if passphrase.expose_secret().chars().count() < 8 {
        return Err(Failure::usage("a passphrase needs at least 8 characters"));
    }
    Ok(passphrase)
}

fn from_variable() -> Option<SecretString> {
    env::var(VARIABLE)
        .ok()
        .filter(|text| !text.is_empty())
        .map(SecretString::from)
}

fn ask(prompt: &str) -> Result<SecretString, Failure> {
    rpassword::prompt_password(prompt)
        .map(SecretString::from)
        .map_err(|error| {
            Failure::usage(format_args!("cannot ask for the passphrase: {error}"))
                .hint("without a terminal, set SOMA_PASSPHRASE")
        })
}

/// Goes on where the person says yes, or has said so beforehand with `--yes`.
pub(crate) fn agree(yes: bool, question: &str) -> Result<(), Failure> {
    if yes || confirm(question)? {
        return Ok(());
    }
    Err(Failure::failed("nothing was done"))
}

/// Whether the person says yes. Where nobody can be asked, `--yes` is named as the way to say so.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format_args!(
            "nobody is there to answer: {}",
            visible(question)
        ))
        .hint("--yes says yes beforehand"));
    }
    let mut err = io::stderr().lock();
    write!(err, "{} [y/N] ", visible(question))?;
    err.flush()?;
    // What was typed before there was a question is no answer to it.
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
