//! `soma compile-component`: the process that compiles a component, under limits of its own.

use std::env;
use std::path::{Path, PathBuf};
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
    Ok(Compiler::new(own_program()?, [COMPILE_COMMAND.into()]))
}

/// Linux's name for it stays right when the file on disk is replaced by another version, whose
/// code this process could not load.
fn own_program() -> Result<PathBuf, Failure> {
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return Ok(running.to_owned());
    }
    env::current_exe()
        .map_err(|e| Failure::failed(format_args!("cannot find this program's own file: {e}")))
}
