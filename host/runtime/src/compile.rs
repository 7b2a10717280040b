//! Compiling a component to native code, in a child process under CPU and memory limits: a
//! compiler bug that a hostile component finds is then a failed install and not a hurt host.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::engine::code_config;

/// How components are compiled: the program to start, and the bounds it puts on itself.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// A program that ends in [`compile_stdin`]; the `soma` binary itself, as a rule.
    pub program: PathBuf,
    /// Arguments that make it do so, before the two bounds.
    pub arguments: Vec<OsString>,
    /// CPU seconds, all threads together, and three times as many on the wall clock.
    pub cpu_seconds: u64,
    /// Bytes of private writable memory.
    pub memory_bytes: u64,
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The child could not be started, or the pipe to it broke.
    #[error("the compiler process could not be run: {0}")]
    Child(#[from] io::Error),
    /// Not a component, or one that uses what the host does not offer.
    #[error("the component does not compile: {0}")]
    Component(String),
    /// The child was ended by a limit.
    #[error(
        "the component needs more than {cpu_seconds} s of CPU or {memory_mib} MiB to compile: make it smaller, or raise the host's compile limits"
    )]
    Limit {
        /// The bound in force.
        cpu_seconds: u64,
        /// The bound in force.
        memory_mib: u64,
    },
}

/// The exit status by which the child says that the component is at fault.
const COMPONENT_AT_FAULT: u8 = 65;

impl Compiler {
    /// A compiler with the default bounds: 120 CPU seconds and 2 GiB.
    pub fn new(program: PathBuf, arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            program,
            arguments: arguments.into_iter().collect(),
            cpu_seconds: 120,
            memory_bytes: 2 << 30,
        }
    }

    /// Native code for a component.
    pub(crate) async fn compile(&self, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        let wall = Duration::from_secs(self.cpu_seconds.saturating_mul(3));
        match tokio::time::timeout(wall, self.run_child(component)).await {
            Ok(result) => result,
            Err(_) => Err(self.limit()),
        }
    }

    async fn run_child(&self, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        let mut child = tokio::process::Command::new(&self.program)
            .args(&self.arguments)
            .arg(self.cpu_seconds.to_string())
            .arg(self.memory_bytes.to_string())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(mut stdin), Some(mut stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("the child has no pipes").into());
        };
        let feed = async move {
            // A child that refuses its input early closes the pipe; its exit status says why.
            match stdin.write_all(component).await {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
                _ => Ok(()),
            }
        };
        let mut code = Vec::new();
        let mut complaint = String::new();
        let mut stderr = stderr.take(4096);
        let (fed, read, said) = tokio::join!(
            feed,
            stdout.read_to_end(&mut code),
            stderr.read_to_string(&mut complaint)
        );
        fed?;
        read?;
        let status = child.wait().await?;
        match status.code() {
            Some(0) => Ok(code),
            Some(status) if status == i32::from(COMPONENT_AT_FAULT) => {
                said?;
                Err(CompileError::Component(complaint.trim().to_owned()))
            }
            // Killed by a signal: out of CPU time (SIGXCPU), or an allocation failed (SIGABRT).
            None => Err(self.limit()),
            Some(_) => Err(io::Error::other(format!("{status}: {}", complaint.trim())).into()),
        }
    }

    fn limit(&self) -> CompileError {
        CompileError::Limit {
            cpu_seconds: self.cpu_seconds,
            memory_mib: self.memory_bytes >> 20,
        }
    }
}

/// The child's whole life: bounds itself to `cpu_seconds` and `memory_bytes`, reads a component
/// on standard input, writes native code to standard output. A refusal goes to standard error.
pub fn compile_stdin(cpu_seconds: u64, memory_bytes: u64) -> ExitCode {
    match compile_bounded(cpu_seconds, memory_bytes) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(refusal)) => {
            eprintln!("{refusal:#}");
            ExitCode::from(COMPONENT_AT_FAULT)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compile_bounded(cpu_seconds: u64, memory_bytes: u64) -> io::Result<Result<(), wasmtime::Error>> {
    bound(Resource::Cpu, cpu_seconds)?;
    // Address space is no measure here, cranelift and malloc reserve more than they use.
    bound(Resource::Data, memory_bytes)?;
    bound(Resource::Core, 0)?;

    let mut component = Vec::new();
    io::stdin().lock().read_to_end(&mut component)?;
    let code = wasmtime::Engine::new(&code_config())
        .and_then(|engine| engine.precompile_component(&component));
    match code {
        Ok(code) => io::stdout().lock().write_all(&code).map(Ok),
        Err(refusal) => Ok(Err(refusal)),
    }
}

fn bound(resource: Resource, limit: u64) -> io::Result<()> {
    setrlimit(
        resource,
        Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        },
    )?;
    Ok(())
}
