//! A running `soma marketplace serve`, and the authors who publish there.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use semver::Version;
use soma_capability::{CapsuleName, Name};
use soma_registry::api::Published;
use soma_registry::client::{ClientError, Marketplace};
use soma_registry::log::LogKey;
use soma_registry::{
    Change, ChangeRequest, Envelope, Manifest, Owner, OwnerKey, Package, SecretKey, Statement,
};
use soma_runtime::Compiler;
use tempfile::TempDir;

use super::database::{Database, postgres};
use super::host::command;
use super::lacking;
use super::packages::component;
use super::paths::{own_folder, soma};
use super::s3::S3;

/// Longer than anything takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A marketplace with a data folder of its own. Dropping it ends it, and checks that it ends well
/// where it was not killed.
pub(crate) struct TestMarketplace {
    pub(crate) url: String,
    pub(crate) key: LogKey,
    folder: TempDir,
    environment: Vec<(String, String)>,
    arguments: Vec<OsString>,
    process: Child,
    /// Where its files are, where that is not its folder.
    s3: Option<S3>,
}

/// An account that is logged in, and its key.
pub(crate) struct Author {
    pub(crate) account: Name,
    pub(crate) key: SecretKey,
    pub(crate) market: Marketplace,
    /// Of the login.
    pub(crate) token: String,
}

/// What an author sends to publish.
pub(crate) struct Offer {
    pub(crate) statement: Envelope,
    pub(crate) change: Envelope,
    pub(crate) file: Vec<u8>,
}

impl TestMarketplace {
    /// Runs the test on SQLite and a folder, then on Postgres and S3.
    pub(crate) fn run(test: impl AsyncFn(Self)) {
        Self::run_with(&[], test);
    }

    /// The same, with an account `root` that operates it.
    pub(crate) fn run_operated(arguments: &[&str], test: impl AsyncFn(Self, Author)) {
        let key = SecretKey::generate().expect("randomness");
        let public = key.public().to_string();
        let arguments = [&["--operators", &public], arguments].concat();
        Self::run_with(&arguments, async |market| {
            let root = market.login("root", key.clone()).await;
            test(market, root).await;
        });
    }

    /// The same with more flags.
    pub(crate) fn run_with(arguments: &[&str], test: impl AsyncFn(Self)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            test(Self::start(&Database::Sqlite, None, arguments).await).await;
            let Some(server) = postgres() else {
                return lacking("a test's run on Postgres: SOMA_TEST_POSTGRES is not set");
            };
            let schema = Database::fresh_schema(server).await;
            test(Self::start(&schema, S3::start(), arguments).await).await;
            schema.drop().await;
        });
    }

    /// On SQLite and a folder alone.
    pub(crate) async fn on_sqlite() -> Self {
        Self::start(&Database::Sqlite, None, &[]).await
    }

    async fn start(database: &Database, s3: Option<S3>, arguments: &[&str]) -> Self {
        let folder = own_folder();
        let mut environment = s3.as_ref().map_or_else(Vec::new, S3::environment);
        let database = database.url();
        environment.extend(database.map(|url| ("SOMA_MARKETPLACE_DATABASE".to_owned(), url)));
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let mut process = spawn(folder.path(), &environment, &arguments);
        let url = listening(&mut process, folder.path()).await;
        let key = fs::read_to_string(folder.path().join("log.vkey")).expect("the log's key");
        Self {
            url,
            key: key.trim().parse().expect("a key"),
            folder,
            environment,
            arguments,
            process,
            s3,
        }
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("a child");
        fs::remove_file(self.folder.path().join("marketplace.url")).expect("its address");
    }

    /// Ends it as an operator does.
    pub(crate) fn stop(&mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).expect("it runs");
        let status = self.process.wait().expect("a child");
        assert!(status.success(), "{status}:\n{}", log(self.data()));
    }

    /// More flags, from the next start on.
    pub(crate) fn add_arguments(&mut self, more: &[&str]) {
        self.arguments.extend(more.iter().map(OsString::from));
    }

    /// Starts it again on what the last one left.
    pub(crate) async fn restart(&mut self) {
        self.process = spawn(self.folder.path(), &self.environment, &self.arguments);
        self.url = listening(&mut self.process, self.folder.path()).await;
    }

    /// `address:port`.
    pub(crate) fn address(&self) -> SocketAddr {
        let authority = self.url.trim_start_matches("http://");
        authority.parse().expect("an address and a port")
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    /// How many capsule files it keeps.
    pub(crate) fn files(&self) -> usize {
        match &self.s3 {
            Some(s3) => s3.objects(),
            None => {
                let files = fs::read_dir(self.data().join("blobs/sha256"));
                files.map_or(0, Iterator::count)
            }
        }
    }

    /// A client that is nobody.
    pub(crate) fn client(&self) -> Marketplace {
        let url = self.url.parse().expect("its address");
        Marketplace::new(url, self.key.clone()).expect("a client")
    }

    /// Makes an account with a new key, and logs in.
    pub(crate) async fn author(&self, account: &str) -> Author {
        let key = SecretKey::generate().expect("randomness");
        self.login(account, key).await
    }

    /// Logs in.
    pub(crate) async fn login(&self, account: &str, key: SecretKey) -> Author {
        let account: Name = account.parse().expect("a name");
        let market = self.client();
        let token = market.login(&account, &key).await.expect("a login").token;
        let market = market.with_token(&token.clone().into()).expect("a token");
        Author {
            account,
            key,
            market,
            token,
        }
    }

    /// An author with a namespace of the same name.
    pub(crate) async fn publisher(&self, account: &str) -> Author {
        let author = self.author(account).await;
        author.create(account).await.expect("a namespace");
        author
    }
}

impl Author {
    /// This account with its key, as an owner.
    pub(crate) fn owner(&self) -> Owner {
        owner(self.account.as_str(), &self.key)
    }

    /// Takes a namespace.
    pub(crate) async fn create(&self, namespace: &str) -> Result<u64, ClientError> {
        let change = Change::Create {
            namespace: namespace.parse().expect("a name"),
            owner: self.owner(),
        };
        self.change(change, &[&self.key]).await
    }

    /// Signs a change with these keys and sends it.
    pub(crate) async fn change(
        &self,
        change: Change,
        keys: &[&SecretKey],
    ) -> Result<u64, ClientError> {
        let envelope = self.sign(change, keys);
        Ok(self.market.submit(&envelope).await?.leaf)
    }

    pub(crate) fn sign(&self, change: Change, keys: &[&SecretKey]) -> Envelope {
        let request = ChangeRequest::new(self.market.origin(), change);
        request.sign(keys).expect("an envelope")
    }

    /// All that publishing this package takes.
    pub(crate) fn offer(&self, package: &Package) -> Offer {
        let statement = Statement::about(package);
        let manifest = package.manifest();
        let change = Change::Publish {
            capsule: manifest.name.clone(),
            version: manifest.version.clone(),
            digest: package.digest(),
            statement: statement.digest().expect("a digest"),
        };
        Offer {
            statement: statement.sign(&self.key).expect("an envelope"),
            change: self.sign(change, &[&self.key]),
            file: package.bytes().to_vec(),
        }
    }

    pub(crate) async fn send(&self, offer: Offer) -> Result<Published, ClientError> {
        let Offer {
            statement,
            change,
            file,
        } = offer;
        self.market.publish(&statement, &change, file, |_| {}).await
    }

    pub(crate) async fn publish(&self, package: &Package) -> Result<Published, ClientError> {
        self.send(self.offer(package)).await
    }
}

pub(crate) fn owner(account: &str, key: &SecretKey) -> Owner {
    let key = OwnerKey {
        public: key.public(),
        expires: None,
    };
    Owner {
        account: account.parse().expect("a name"),
        key,
    }
}

/// The echo guest as this capsule, with the tools that it really describes.
pub(crate) async fn echo(name: &str, version: &str) -> Package {
    as_capsule("echo", name, version).await
}

/// A guest as a capsule of this name, with the tools that it really describes.
pub(crate) async fn as_capsule(guest: &str, name: &str, version: &str) -> Package {
    let component = component(guest);
    let compiler = Compiler::new(soma(), ["compile-component".into()]);
    let tools = soma_runtime::describe(&component, &compiler).await;
    let manifest = Manifest::from_toml(&format!(
        "name = \"{name}\"\nversion = \"{version}\"\ndescription = \"Gives back what it is given.\"\n\
         keywords = [\"echo\"]\n"
    ));
    let manifest = manifest.expect("a manifest");
    Package::pack(&component, manifest, tools.expect("tools")).expect("a package")
}

pub(crate) fn capsule_name(text: &str) -> CapsuleName {
    text.parse().expect("a capsule's name")
}

pub(crate) fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

/// The problem that a request met, which it must have.
#[track_caller]
pub(crate) fn problem<T: std::fmt::Debug>(result: Result<T, ClientError>, code: &str) -> String {
    match result {
        Err(error) if error.code() == Some(code) => error.to_string(),
        other => panic!("expected the problem {code}, got {other:?}"),
    }
}

fn spawn(data: &Path, environment: &[(String, String)], arguments: &[OsString]) -> Child {
    let mut command: Command = command(data);
    command
        .args(["marketplace", "serve", "--listen", "127.0.0.1:0"])
        .args(["--origin", "market.test/log"])
        .arg("--data")
        .arg(data)
        .args(arguments)
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(
            fs::File::options()
                .create(true)
                .append(true)
                .open(data.join("marketplace.log"))
                .expect("a log"),
        )
        .spawn()
        .expect("soma marketplace serve")
}

async fn listening(process: &mut Child, data: &Path) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = process.try_wait().expect("a child") {
            panic!("soma marketplace serve ended, {status}:\n{}", log(data));
        }
        match fs::read_to_string(data.join("marketplace.url")) {
            Ok(url) if !url.trim().is_empty() => return url.trim().to_owned(),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    panic!("soma marketplace serve does not listen:\n{}", log(data))
}

fn log(data: &Path) -> String {
    fs::read_to_string(data.join("marketplace.log")).unwrap_or_default()
}

impl Drop for TestMarketplace {
    fn drop(&mut self) {
        let running = matches!(self.process.try_wait(), Ok(None));
        if std::thread::panicking() {
            eprintln!("the marketplace's log:\n{}", log(self.data()));
            let _ = self.process.kill();
            let _ = self.process.wait();
        } else if running {
            self.stop();
        }
    }
}
