//! A running `soma serve`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;
use soma_registry::Package;
use tempfile::TempDir;
use tokio::sync::watch;

use super::answer::Answer;
use super::client::Client;
use super::packages::pack_guest;
use super::paths::soma;
use super::setup::Setup;

/// Longer than anything takes on a busy machine: waiting this long is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host with a data folder of its own. Dropping it checks that no instance is left, and that
/// the host stops as it should when told to.
pub(crate) struct TestHost {
    /// A client with the local admin key.
    pub(crate) admin: Client,
    /// A client with the local invoke-only key.
    pub(crate) invoke: Client,
    /// Where it listens, such as `http://127.0.0.1:40123`.
    pub(crate) url: String,
    setup: Setup,
    database: Option<String>,
    folder: TempDir,
    process: Child,
    log: watch::Receiver<String>,
}

impl TestHost {
    pub(crate) async fn start(setup: &Setup, database: Option<String>) -> Self {
        let make = |data: &Path| {
            let made = fs::DirBuilder::new().mode(0o700).create(data);
            made.expect("a data folder");
        };
        Self::start_in(setup, database, make).await
    }

    /// The same in a data folder that somebody else makes.
    pub(crate) async fn start_in(
        setup: &Setup,
        database: Option<String>,
        make: impl FnOnce(&Path),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = data_folder(folder.path());
        make(&data);
        if !setup.own_code_cache {
            let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("code");
            let mut owner_only = fs::DirBuilder::new();
            owner_only
                .recursive(true)
                .mode(0o700)
                .create(&shared)
                .expect("a code cache");
            symlink(shared, data.join("code")).expect("a link to the tests' code cache");
        }
        let (mut process, log) = spawn(setup, database.as_deref(), &data);
        let url = listening(&mut process, &data, &log).await;
        Self {
            admin: client(&url, &data, "admin"),
            invoke: client(&url, &data, "invoke"),
            url,
            setup: setup.clone(),
            database,
            folder,
            process,
            log,
        }
    }

    /// The host's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        data_folder(self.folder.path())
    }

    /// Where its database is, unless it is in its data folder.
    pub(crate) fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// `address:port`.
    pub(crate) fn address(&self) -> SocketAddr {
        let authority = self.url.rsplit('/').next().unwrap_or_default();
        authority.parse().expect("an address and a port")
    }

    /// Installs a capsule, which must go well.
    pub(crate) async fn install(&self, package: &Package) -> Value {
        self.admin.install(package.bytes()).await.expect(201)
    }

    /// Installs guests by their names, each as `tests/NAME`.
    pub(crate) async fn install_guests(&self, guests: &[&str]) {
        for guest in guests {
            self.install(&pack_guest(guest)).await;
        }
    }

    /// Has a file serve that is held.
    pub(crate) async fn approve(&self, package: &Package) -> Value {
        let name = &package.manifest().name;
        let path = format!("/v1/admin/updates/{name}/approve");
        let digest = serde_json::json!({"digest": package.digest().to_string()});
        self.admin.post(&path, &digest).await.expect(200)
    }

    /// Calls the tool of an installed guest.
    pub(crate) async fn call(&self, guest: &str, input: &Value) -> Answer {
        self.invoke.call(&Self::capsule(guest), "run", input).await
    }

    /// The capsule that a guest is installed as.
    pub(crate) fn capsule(guest: &str) -> String {
        format!("tests/{}", guest.replace('_', "-"))
    }

    /// Where the grant of a capsule of the default tenant is.
    pub(crate) fn grant_path(capsule: &str) -> String {
        format!("/v1/admin/grants/{capsule}?tenant=default")
    }

    /// Grants this to a capsule, in the form that the API takes.
    pub(crate) async fn grant(&self, capsule: &str, wanted: &Value) -> Answer {
        let path = Self::grant_path(capsule);
        self.admin.put(&path, wanted).await
    }

    /// One sample of /metrics, by its name and labels as they are written there; 0 where absent.
    pub(crate) async fn metric(&self, sample: &str) -> f64 {
        sample_of(&self.admin.get("/metrics").await.text, sample)
    }

    /// The most bytes that the process has had in memory at once.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("the host runs, on Linux");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.expect("a peak").trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().expect("a number") << 10
    }

    /// Waits until a line of the log holds this text, and gives the line.
    pub(crate) async fn logged(&self, text: &str) -> String {
        let line = |log: &str| {
            log.lines()
                .find(|line| line.contains(text))
                .map(str::to_owned)
        };
        let mut log = self.log.clone();
        let wait = log.wait_for(|log| line(log).is_some());
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(Ok(log)) => line(&log).expect("just seen"),
            _ => panic!("no {text:?} in the log:\n{}", self.log()),
        }
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.borrow().clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the host runs");
    }

    fn pid(&self) -> Pid {
        let pid = i32::try_from(self.process.id()).ok();
        pid.and_then(Pid::from_raw).expect("a process id")
    }

    /// From now on no file that it writes to may be longer than this: its disk is full.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(self.pid()), Resource::Fsize, limit).expect("the host runs");
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().expect("a child") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the host did not stop:\n{}", self.log())
    }

    /// Stops the host and starts it again on the same data; `between` sees the data at rest.
    pub(crate) async fn restart(&mut self, between: impl FnOnce(&Path)) {
        self.signal(Signal::TERM);
        assert!(self.ended().await.success(), "{}", self.log());
        self.start_again(between).await;
    }

    /// Ends it without a warning, and starts it again.
    pub(crate) async fn kill_and_restart(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
        // It says where the one that is gone listened.
        let stale = |data: &Path| std::fs::remove_file(data.join("host.url")).expect("it was up");
        self.start_again(stale).await;
    }

    /// Starts it where it has ended.
    pub(crate) async fn start_again(&mut self, between: impl FnOnce(&Path)) {
        let data = self.data();
        between(&data);
        (self.process, self.log) = spawn(&self.setup, self.database.as_deref(), &data);
        self.url = listening(&mut self.process, &data, &self.log).await;
        self.admin = client(&self.url, &data, "admin");
        self.invoke = client(&self.url, &data, "invoke");
    }

    /// Starts it again on the same data with these arguments besides.
    pub(crate) async fn restart_with(&mut self, arguments: &[&str]) {
        let more = arguments.iter().map(Into::into);
        self.setup.arguments.extend(more);
        self.restart(|_| {}).await;
    }

    /// Starts it again on the same data with another value of a flag that it was given.
    pub(crate) async fn say_again(&mut self, flag: &str, value: &str) {
        let arguments = &mut self.setup.arguments;
        let place = arguments.iter().position(|argument| argument == flag);
        arguments[place.expect("it was given") + 1] = value.into();
        self.restart(|_| {}).await;
    }

    fn check_slots(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let metrics = metrics_at(self.address());
            let left = sample_of(&metrics, "soma_instances_in_use");
            if left == 0.0 {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{left} instances are left:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        let running = matches!(self.process.try_wait(), Ok(None));
        if thread::panicking() {
            eprintln!("the host's log:\n{}", self.log());
            // The test has failed already; that the process is gone is all that matters now.
            let _ = self.process.kill();
            let _ = self.process.wait();
        } else if running {
            // Over TLS, /metrics is left to the tests of TLS.
            if !self.setup.tls {
                self.check_slots();
            }
            self.signal(Signal::TERM);
            let status = self.process.wait().expect("a child");
            assert!(status.success(), "{status}:\n{}", self.log());
        }
    }
}

fn data_folder(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// A `soma` command that sees nothing of the environment the tests run in.
pub(crate) fn command(data: &Path) -> Command {
    let mut command = Command::new(soma());
    command
        .env_clear()
        .env("HOME", data)
        .env("SOMA_DATA", data)
        .env("NO_COLOR", "1");
    for name in ["PATH", "CARGO_HOME", "RUSTUP_HOME", "SOMA_WASM_TOOLCHAIN"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

fn spawn(setup: &Setup, database: Option<&str>, data: &Path) -> (Child, watch::Receiver<String>) {
    let mut command = command(data);
    command.arg("serve");
    for (flag, value) in [
        ("--listen", "127.0.0.1:0"),
        ("--concurrent-calls", "8"),
        ("--shutdown-grace", "20"),
    ] {
        let given = |flag: &str| setup.arguments.iter().any(|argument| argument == flag);
        // A flag would hide what a configuration file says.
        let in_file = flag == "--concurrent-calls" && given("--config");
        if !given(flag) && !in_file {
            command.args([flag, value]);
        }
    }
    if let Some(url) = database {
        command.env("SOMA_DATABASE", url);
    }
    let mut process = command
        .args(&setup.arguments)
        .envs(setup.environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("soma serve");
    let lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
    let (sender, log) = watch::channel(String::new());
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            sender.send_modify(|log| {
                log.push_str(&line);
                log.push('\n');
            });
        }
    });
    (process, log)
}

/// Waits until the host says where it listens.
async fn listening(process: &mut Child, data: &Path, log: &watch::Receiver<String>) -> String {
    let file = data.join("host.url");
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = process.try_wait().expect("a child") {
            panic!("soma serve ended, {status}:\n{}", *log.borrow());
        }
        match fs::read_to_string(&file) {
            Ok(url) if !url.trim().is_empty() => return url.trim().to_owned(),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    panic!("soma serve does not listen:\n{}", *log.borrow())
}

fn client(url: &str, data: &Path, key: &str) -> Client {
    let key = fs::read_to_string(data.join(format!("keys/{key}.key"))).unwrap_or_default();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .expect("a client");
    Client::new(http, url, key.trim())
}

/// Without a client and a runtime, since a drop may run where neither is at hand.
fn metrics_at(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).expect("the host listens");
    stream
        .write_all(format!("GET /metrics HTTP/1.0\r\nhost: {address}\r\n\r\n").as_bytes())
        .expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

fn sample_of(metrics: &str, sample: &str) -> f64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.trim().parse().expect("a number"))
}
