//! `soma`: make capsules, run them, publish them, serve them, call them. Each command is a file in
//! `commands`; this one reads the command line and turns the outcome into an exit code.

mod answer;
mod asked;
mod carried;
mod client;
mod clock;
mod columns;
mod commands;
mod config_folder;
mod data_folder;
mod difference;
mod failure;
mod invocation_id;
mod key_id;
mod keyring;
mod layout;
mod lockfile;
mod logins;
mod marketplace;
mod named_file;
mod oci;
mod passphrase;
mod problem;
mod project;
mod screen;
mod sealed;
mod signer;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;
use crate::failure::Failure;
use crate::screen::Screen;

/// A call makes and drops some hundred small things on whichever thread it runs: glibc's
/// allocator pays for each in locks and consolidation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str =
    "Tools for AI agents, as WebAssembly capsules: make them, run them, serve them, call them.";

const AFTER_HELP: &str = "\
A first capsule:
  soma new hello && cd hello
  soma run . hello '{\"name\": \"Ada\"}'

Exit codes:
  0  done
  1  the tool failed, or what was asked for could not be done
  2  the command line is wrong, or names a file that cannot be used
  3  no host or marketplace answers
  4  the key, the token, a budget or the trust policy does not allow it, or there is no key
  5  the host or marketplace has no such capsule, tool, tenant or key
  6  the input is not JSON, or does not fit the tool's schema
  7  busy: the same request may succeed later
  130, 143  a backup or a restore was interrupted (SIGINT, SIGTERM), and left nothing";

#[derive(Parser)]
#[command(name = "soma", version, about = ABOUT, after_help = AFTER_HELP)]
#[command(propagate_version = true, disable_help_subcommand = true)]
struct Cli {
    /// Show results as JSON, errors too (on standard error)
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let Cli { json, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && asks_for_json() => return failed(true, &error.into()),
        Err(error) => error.exit(),
    };
    if let Command::CompileComponent(command) = command {
        // Before anything starts a thread: the child bounds itself first.
        return command.run();
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(json, &error.into()),
    };
    match runtime.block_on(command.run(Screen { json })) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(json, &failure),
    }
}

fn failed(json: bool, failure: &Failure) -> ExitCode {
    Screen { json }.failure(failure);
    failure.code()
}

/// Whether `--json` is on a command line that could not be read as a whole.
fn asks_for_json() -> bool {
    std::env::args_os()
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_command_has_an_example() {
        let cli = Cli::command();
        cli.clone().debug_assert();
        let mut commands: Vec<&clap::Command> = cli.get_subcommands().collect();
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands());
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let exempt = command.is_hide_set() || command.has_subcommands();
            assert!(
                exempt || help.contains("soma "),
                "{} has no example",
                command.get_name()
            );
        }
    }

    #[test]
    fn a_negative_number_is_a_value_that_does_not_fit() {
        let tokens = "tokens are written like";
        for (line, words) in [
            ("budget set -5 --per day", tokens),
            ("budget set --per day -1.5", tokens),
            ("call acme/report get --max-tokens -5", tokens),
            (
                "call acme/report get --session s --session-tokens -5",
                tokens,
            ),
            ("key create --max-tokens -5", tokens),
            ("key create --calls-per-minute -5", "are a whole number"),
            ("key set 3f9a0c1d2e4b5a69 --max-tokens -5", tokens),
            (
                "key set 3f9a0c1d2e4b5a69 --calls-per-minute -5",
                "are a whole number",
            ),
            ("run . get --fuel -5", "a limit is a whole number"),
            ("run . get --time-ms -5", "a limit is a whole number"),
            ("run . get --memory-mib -5", "-5 is not in 1..=4096"),
            ("grant set acme/report --kv -5", "-5 is not in 1..=1048576"),
            ("audit query --limit -5", "-5 is not in 1..=1000"),
            ("search --limit -5", "-5 is not in 1..=100"),
            ("search --after -5", "-5 is not in 0..=4294967295"),
            ("token create --name ci --days -5", "-5 is not in 1..=365"),
        ] {
            let refused = Cli::try_parse_from(["soma"].into_iter().chain(line.split(' ')));
            let refused = refused.err().unwrap().render().to_string();
            assert!(
                refused.starts_with("error: invalid value '-"),
                "{line}: {refused}"
            );
            assert!(refused.contains(words), "{line}: {refused}");
        }
    }
}
