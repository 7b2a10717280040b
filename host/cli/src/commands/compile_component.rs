//! `soma compile-component`: the process that compiles a component, under limits of its own.

use std::env;
use std::process::ExitCode;

use soma_host::COMPILE_COMMAND;
use soma_runtime::{Compiler, compile_stdin};

use crate::failure::Failure;

/// Compile the component on standard input to native code on standard output
#[derive(clap::Args)]
#[command(name = COMPILE_COMMAND, hide = true)]
pub(crate) struct CompileComponent {
    /// CPU seconds it may take
    cpu_seconds: u64,
    /// Bytes of memory it may take
    memory_bytes: u64,
}

impl CompileComponent {
    pub(crate) fn run(self) -> ExitCode {
        compile_stdin(self.cpu_seconds, self.memory_bytes)
    }
}

/// A compiler that runs this very program with this command.
pub(crate) fn compiler() -> Result<Compiler, Failure> {
    let program = env::current_exe()
        .map_err(|e| Failure::failed(format_args!("cannot find this program's own file: {e}")))?;
    Ok(Compiler::new(program, [COMPILE_COMMAND.into()]))
}
