//! How a test's host is set up, and running the test on every database.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt as _;

use super::database::{Database, postgres};
use super::host::TestHost;
use super::upstream::Upstream;
use super::{full, lacking};

/// A host to be: `soma serve` with these arguments and this environment.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) tls: bool,
    pub(crate) own_code_cache: bool,
    waits: bool,
}

impl Setup {
    /// One flag with its value.
    pub(crate) fn flag(mut self, flag: &str, value: impl Into<OsString>) -> Self {
        self.arguments.extend([flag.into(), value.into()]);
        self
    }

    /// One environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Limits of calls, such as `fuel=1000,time-ms=50`.
    pub(crate) fn limits(self, limits: &str) -> Self {
        self.flag("--default-limits", limits)
    }

    /// Guests may send requests to this server.
    pub(crate) fn allow(self, upstream: &Upstream) -> Self {
        self.flag("--allow-http", upstream.origin())
    }

    /// The host speaks TLS.
    pub(crate) fn https(mut self) -> Self {
        self.tls = true;
        self
    }

    /// A code cache of its own, where others share one so that each guest is compiled once.
    pub(crate) fn own_code_cache(mut self) -> Self {
        self.own_code_cache = true;
        self
    }

    /// The test mostly waits for time to pass: one database is enough, but for everything.
    pub(crate) fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    /// Runs the test on a fresh host on SQLite, then on a fresh host on Postgres.
    pub(crate) fn run(self, test: impl AsyncFn(TestHost)) {
        self.run_with(|| {}, test);
    }

    /// The same, with something done before each host starts.
    pub(crate) fn run_with(self, before: impl Fn(), test: impl AsyncFn(TestHost)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            before();
            self.run_on(Database::Sqlite, &test).await;
            if self.waits && !full() {
                return;
            }
            before();
            match postgres() {
                Some(server) => {
                    let schema = Database::fresh_schema(server).await;
                    self.run_on(schema, &test).await;
                }
                None => lacking("a test's run on Postgres: SOMA_TEST_POSTGRES is not set"),
            }
        });
    }

    async fn run_on(&self, database: Database, test: &impl AsyncFn(TestHost)) {
        eprintln!("on {}", database.name());
        let whole = async { test(TestHost::start(self, database.url()).await).await };
        let result = AssertUnwindSafe(whole).catch_unwind().await;
        database.drop().await;
        if let Err(panic) = result {
            resume_unwind(panic);
        }
    }
}
