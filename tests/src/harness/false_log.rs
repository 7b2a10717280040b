//! A marketplace that is a folder of files, made by whoever holds the log's key: honest until a
//! test makes it lie. What it serves is on the paths of docs/marketplace-api.md.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use soma_capability::{CapsuleName, Name};
use soma_registry::log::Act;
use soma_registry::log::{
    Checkpoint, Frontier, Inclusion, Leaf, LogKey, NoteSecret, Resource, TreeHash, write_bundle,
};
use soma_registry::{
    Bundle, Change, ChangeRequest, Logged, Owner, OwnerKey, Package, ProvenLeaf, SecretKey,
    Statement,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A log with its key, and a server of its files that ends with this value.
pub(crate) struct FalseLog {
    pub(crate) secret: NoteSecret,
    /// Who cosign what it publishes from now on.
    pub(crate) witnesses: Vec<NoteSecret>,
    /// What it says that the time is; none is the right one.
    pub(crate) time: Option<u64>,
    pub(crate) leaves: Vec<Vec<u8>>,
    served: Arc<Served>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: Option<thread::JoinHandle<()>>,
}

struct Served {
    folder: TempDir,
    is_down: AtomicBool,
}

/// Somebody who publishes: one namespace of which this is the one owner.
pub(crate) struct Publisher {
    pub(crate) namespace: Name,
    pub(crate) key: SecretKey,
}

impl FalseLog {
    /// An empty log of this origin.
    pub(crate) fn start(origin: &str) -> Self {
        Self::with_secret(note_secret(origin))
    }

    /// An empty log under a key that is there already.
    pub(crate) fn with_secret(secret: NoteSecret) -> Self {
        let served = Arc::new(Served {
            folder: tempfile::tempdir().expect("a temporary folder"),
            is_down: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().fallback(file).with_state(served.clone());
        let (stop, stopped) = oneshot::channel();
        let server = thread::spawn(move || serve(listener, router, stopped));
        let log = Self {
            secret,
            witnesses: Vec::new(),
            time: None,
            leaves: Vec::new(),
            served,
            address,
            stop: Some(stop),
            server: Some(server),
        };
        log.publish_log();
        log
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn key(&self) -> LogKey {
        self.secret.log_key()
    }

    /// From now on it answers nothing but 503.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.served.is_down.store(is_down, SeqCst);
    }

    /// Its files, to be tampered with.
    pub(crate) fn folder(&self) -> &Path {
        self.served.folder.path()
    }

    /// Somebody with a key, and a namespace in this log.
    pub(crate) fn publisher(&mut self, namespace: &str) -> Publisher {
        let key = SecretKey::generate().expect("random bytes");
        let publisher = Publisher {
            namespace: namespace.parse().expect("a name"),
            key,
        };
        let owner = Owner {
            account: publisher.namespace.clone(),
            key: OwnerKey {
                public: publisher.key.public(),
                expires: None,
            },
        };
        let create = Change::Create {
            namespace: publisher.namespace.clone(),
            owner,
        };
        self.change(&[&publisher.key], create);
        publisher
    }

    /// Logs a change signed by these keys, whether it is right or not.
    pub(crate) fn change(&mut self, keys: &[&SecretKey], change: Change) -> u64 {
        let request = ChangeRequest::new(self.secret.name(), change);
        let act = Act::Signed(request.sign(keys).expect("it can be signed"));
        self.log(act)
    }

    /// Logs a change on the log's own word.
    pub(crate) fn own_change(&mut self, change: Change) -> u64 {
        self.log(Act::Marketplace(ChangeRequest::new(
            self.secret.name(),
            change,
        )))
    }

    fn log(&mut self, act: Act) -> u64 {
        let time = self.now();
        let leaf = Leaf { time, act }.to_bytes().expect("a leaf");
        self.leaves.push(leaf);
        self.publish_log();
        self.leaves.len() as u64 - 1
    }

    fn now(&self) -> u64 {
        self.time.unwrap_or_else(unix_time)
    }

    /// Publishes a version: its leaf, its file, its bundle.
    pub(crate) fn publish(&mut self, publisher: &Publisher, package: &Package) -> u64 {
        let statement = Statement::about(package);
        let manifest = package.manifest();
        let publish = Change::Publish {
            capsule: manifest.name.clone(),
            version: manifest.version.clone(),
            digest: package.digest(),
            statement: statement.digest().expect("a digest"),
        };
        let leaf = self.change(&[&publisher.key], publish);
        let statement = statement.sign(&publisher.key).expect("it can be signed");
        let bundle = self.bundle(&manifest.name, statement);
        self.serve_release(package, package.bytes(), &bundle);
        leaf
    }

    /// The bundle of the version that was published last: every leaf about its namespace, proven.
    pub(crate) fn bundle(
        &self,
        capsule: &CapsuleName,
        statement: soma_registry::Envelope,
    ) -> Bundle {
        let (frontier, tree) = self.tree(self.leaves.len());
        let checkpoint = self.checkpoint(&frontier);
        let origin = self.secret.name();
        let last = self.leaves.len() - 1;
        let concerns = |index: &usize| {
            let leaf = Leaf::from_bytes(&self.leaves[*index]).expect("a leaf");
            let change = leaf.open(origin).expect("signed").request.change;
            let is_of_owners = change.release().is_none();
            change.namespace() == capsule.publisher() && (is_of_owners || *index == last)
        };
        let proven = |index: usize| ProvenLeaf {
            leaf: String::from_utf8(self.leaves[index].clone()).expect("JSON"),
            inclusion: Inclusion::from_hashes(index as u64, frontier.size(), &tree)
                .expect("a proof"),
        };
        Bundle {
            statement,
            logged: Some(Logged {
                checkpoint: String::from_utf8(checkpoint.to_bytes()).expect("a note"),
                leaves: (0..=last).filter(concerns).map(proven).collect(),
            }),
        }
    }

    /// Serves these bytes and this bundle as the version that a package says to be.
    pub(crate) fn serve_release(&self, package: &Package, file: &[u8], bundle: &Bundle) {
        let folder = self.release_folder(package);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("capsule"), file).expect("a file");
        let bundle = bundle.to_bytes().expect("JSON");
        fs::write(folder.join("bundle"), bundle).expect("a file");
    }

    /// Where the files of a version lie.
    pub(crate) fn release_folder(&self, package: &Package) -> std::path::PathBuf {
        let manifest = package.manifest();
        let path = format!("v1/packages/{}/{}", manifest.name, manifest.version);
        self.folder().join(path)
    }

    /// Writes checkpoint and entry bundles of the leaves as they are now.
    pub(crate) fn publish_log(&self) {
        let (frontier, _) = self.tree(self.leaves.len());
        for bundle in Resource::entries_from(0, frontier.size()) {
            let first = usize::try_from(bundle.first()).expect("small");
            let entries = self.leaves[first..][..bundle.width.into()].iter();
            let bytes = write_bundle(entries.map(Vec::as_slice));
            let path = self.folder().join(format!("log/{bundle}"));
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, bytes).expect("a file");
        }
        self.publish_checkpoint(&self.checkpoint(&frontier).to_bytes());
    }

    /// Serves these bytes as the checkpoint.
    pub(crate) fn publish_checkpoint(&self, note: &[u8]) {
        let folder = self.folder().join("log");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("new"), note).expect("a file");
        fs::rename(folder.join("new"), folder.join("checkpoint")).expect("a file");
    }

    fn checkpoint(&self, frontier: &Frontier) -> Checkpoint {
        let mut checkpoint = Checkpoint::sign(&self.secret, frontier).expect("signed");
        let time = self.now();
        for cosigner in self.witnesses.iter().chain([&self.secret]) {
            checkpoint.cosign(cosigner, time).expect("signed");
        }
        checkpoint
    }

    fn tree(&self, size: usize) -> (Frontier, BTreeMap<u64, TreeHash>) {
        let mut frontier = Frontier::default();
        let mut hashes = BTreeMap::new();
        for leaf in &self.leaves[..size] {
            hashes.extend(frontier.push(leaf));
        }
        (frontier, hashes)
    }
}

/// `marketplaces.toml` with these.
pub(crate) fn marketplaces(logs: &[&FalseLog]) -> String {
    let entry = |log: &&FalseLog| {
        format!(
            "[[marketplace]]\nurl = \"{}\"\nkey = \"{}\"\n\n",
            log.url(),
            log.key()
        )
    };
    logs.iter().map(entry).collect()
}

/// A key that signs notes under this name.
pub(crate) fn note_secret(name: &str) -> NoteSecret {
    let key = SecretKey::generate().expect("random bytes");
    NoteSecret::new(name, key).expect("a name")
}

/// Unix seconds.
pub(crate) fn unix_time() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

impl Drop for FalseLog {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            let ended = server.join();
            assert!(
                ended.is_ok() || thread::panicking(),
                "the log's server panicked"
            );
        }
    }
}

async fn file(State(served): State<Arc<Served>>, request: Request) -> (StatusCode, Vec<u8>) {
    if served.is_down.load(SeqCst) {
        return (StatusCode::SERVICE_UNAVAILABLE, Vec::new());
    }
    let path = request.uri().path().trim_start_matches('/').to_owned();
    match fs::read(served.folder.path().join(path)) {
        Ok(bytes) => (StatusCode::OK, bytes),
        Err(_) => (StatusCode::NOT_FOUND, Vec::new()),
    }
}

fn serve(listener: TcpListener, router: Router, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
        tokio::select! {
            ended = async { axum::serve(listener, router).await } => ended.expect("it serves"),
            _ = stopped => {}
        }
    });
}
