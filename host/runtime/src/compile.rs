//! Compiling a component to native code, in a child process under CPU and memory limits: one that
//! takes too much, or crashes the compiler, is then a failed install. The child has an empty
//! environment and all the rights of the host's user: a component that could make the compiler do
//! as it likes, rather than crash, would be held by nothing here.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

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
    /// It takes too long.
    #[error(
        "the component takes more than {cpu_seconds} s of CPU to compile, or three times that on the clock"
    )]
    TooSlow {
        /// The bound in force.
        cpu_seconds: u64,
    },
    /// It takes too much memory.
    #[error("the component takes more than {memory_mib} MiB of memory to compile")]
    TooLarge {
        /// The bound in force.
        memory_mib: u64,
    },
    /// A bug in the compiler, which this component has found.
    #[error("the compiler crashed on this component: {0}")]
    Crash(String),
}

/// The exit status by which the child says that the component is at fault.
const COMPONENT_AT_FAULT: u8 = 65;

/// The exit status of a Rust program that panicked.
const PANICKED: i32 = 101;

/// Bytes that are kept of what the child says. It may say more.
const COMPLAINT_BYTES: u64 = 4 << 10;

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
            Err(_) => Err(self.too_slow()),
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
        let (fed, read, complaint) =
            tokio::join!(feed, stdout.read_to_end(&mut code), beginning(stderr));
        fed?;
        read?;
        let status = child.wait().await?;
        if status.success() {
            return Ok(code);
        }
        Err(self.failure(status, &complaint?))
    }

    /// What it means that the child ended so.
    fn failure(&self, status: ExitStatus, complaint: &str) -> CompileError {
        let complaint = complaint.trim();
        let because = || match complaint.lines().find(|line| !line.is_empty()) {
            Some(line) => format!("{status}: {line}"),
            None => status.to_string(),
        };
        let signal = |signal: Signal| status.signal() == Some(signal.as_raw());
        if status.code() == Some(COMPONENT_AT_FAULT.into()) {
            return CompileError::Component(complaint.to_owned());
        }
        if signal(Signal::XCPU) {
            return self.too_slow();
        }
        // What Rust says and does when an allocation fails.
        if signal(Signal::ABORT) && complaint.contains("memory allocation of") {
            return CompileError::TooLarge {
                memory_mib: self.memory_bytes >> 20,
            };
        }
        // Not by the limits: an operator, or a machine that is out of memory.
        if signal(Signal::KILL) || signal(Signal::TERM) {
            return io::Error::other(because()).into();
        }
        if status.signal().is_some() || status.code() == Some(PANICKED) {
            return CompileError::Crash(because());
        }
        io::Error::other(because()).into()
    }

    fn too_slow(&self) -> CompileError {
        CompileError::TooSlow {
            cpu_seconds: self.cpu_seconds,
        }
    }
}

/// The first of what a stream says, which is read to its end so that the writer never waits.
async fn beginning(stream: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut kept = Vec::new();
    let mut stream = stream.take(COMPLAINT_BYTES);
    stream.read_to_end(&mut kept).await?;
    tokio::io::copy(&mut stream.into_inner(), &mut tokio::io::sink()).await?;
    // It may have been cut in the middle of a character.
    Ok(String::from_utf8_lossy(&kept).into_owned())
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
    // A second between the two, so that it is the limit's own signal that ends the process.
    bound(Resource::Cpu, cpu_seconds, cpu_seconds.saturating_add(1))?;
    // Address space is no measure here, cranelift and malloc reserve more than they use.
    bound(Resource::Data, memory_bytes, memory_bytes)?;
    bound(Resource::Core, 0, 0)?;

    let mut component = Vec::new();
    io::stdin().lock().read_to_end(&mut component)?;
    let code = wasmtime::Engine::new(&code_config())
        .and_then(|engine| engine.precompile_component(&component));
    match code {
        Ok(code) => io::stdout().lock().write_all(&code).map(Ok),
        Err(refusal) => Ok(Err(refusal)),
    }
}

fn bound(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    setrlimit(
        resource,
        Rlimit {
            current: Some(soft),
            maximum: Some(hard),
        },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a component whose compiler is this shell script.
    async fn compiled_by(script: &str) -> Result<Vec<u8>, CompileError> {
        let arguments = ["-c", script].map(OsString::from);
        let mut compiler = Compiler::new("/bin/sh".into(), arguments);
        compiler.cpu_seconds = 10;
        compiler.compile(b"a component").await
    }

    #[tokio::test]
    async fn a_long_complaint_is_cut_and_does_not_stop_the_child() {
        // An odd number of bytes first, so that the cut is in the middle of a character.
        let script = "printf x >&2; yes ü | head -c 1000000 | tr -d '\\n' >&2; exit 65";
        match compiled_by(script).await {
            Err(CompileError::Component(complaint)) => {
                assert!(complaint.starts_with("xüü"), "{complaint:.20}");
                let length = complaint.len() as u64;
                assert!((4000..=COMPLAINT_BYTES + 2).contains(&length), "{length}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn each_end_of_the_child_has_its_own_error() {
        assert_eq!(compiled_by("cat").await.unwrap(), b"a component");
        let error = |script| async move { compiled_by(script).await.unwrap_err() };
        let slow = error("kill -XCPU $$").await;
        assert!(matches!(slow, CompileError::TooSlow { cpu_seconds: 10 }));
        let large = error("echo memory allocation of 7 bytes failed >&2; kill -ABRT $$").await;
        assert!(matches!(large, CompileError::TooLarge { memory_mib: 2048 }));
        for crash in ["kill -SEGV $$", "kill -ABRT $$", "kill -ILL $$", "exit 101"] {
            assert!(
                matches!(error(crash).await, CompileError::Crash(_)),
                "{crash}"
            );
        }
        for hosts in ["kill -KILL $$", "kill -TERM $$", "exit 1", "exit 2"] {
            assert!(
                matches!(error(hosts).await, CompileError::Child(_)),
                "{hosts}"
            );
        }
    }

    #[tokio::test]
    async fn a_child_that_hangs_is_ended() {
        let mut compiler = Compiler::new(
            "/bin/sh".into(),
            ["-c", "exec sleep 600"].map(OsString::from),
        );
        compiler.cpu_seconds = 0;
        let error = compiler.compile(b"").await.unwrap_err();
        assert!(matches!(error, CompileError::TooSlow { .. }), "{error}");
    }
}
