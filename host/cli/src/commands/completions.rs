//! `soma completions`: what a shell needs to complete `soma`.

use std::io;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::Cli;
use crate::failure::Failure;

/// Print the completion script of a shell
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  soma completions bash > ~/.local/share/bash-completion/completions/soma"
)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "soma", &mut script);
        io::Write::write_all(&mut io::stdout(), &script)?;
        Ok(())
    }
}
