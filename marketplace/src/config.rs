//! What `soma marketplace serve` is told.

use std::env;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use soma_capability::Name;
use soma_registry::PublicKey;
use soma_registry::client::Witness;
use soma_runtime::Compiler;

/// The port that a marketplace listens on where none is given.
pub const DEFAULT_PORT: u16 = 7712;

/// Everything an operator can say about a marketplace, as flags or in the environment.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    /// Folder of the log's key, and of database and files where those are not elsewhere
    /// [default: $XDG_DATA_HOME/soma-marketplace or ~/.local/share/soma-marketplace]
    #[arg(long, env = "SOMA_MARKETPLACE_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Address and port to listen on; port 0 takes a free one
    #[arg(
        long,
        env = "SOMA_MARKETPLACE_LISTEN",
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:7712"
    )]
    pub listen: SocketAddr,

    /// The log's origin, such as `capsules.example.com/log`: decided once, since every pinned key
    /// has it [default: ADDR/log, with the address that is listened on]
    #[arg(long, env = "SOMA_MARKETPLACE_ORIGIN", value_name = "NAME")]
    pub origin: Option<String>,

    /// Database: `sqlite://PATH` or `postgres://…` [default: marketplace.db in the data folder]
    #[arg(
        long,
        env = "SOMA_MARKETPLACE_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: Option<String>,

    /// Where capsule files are: a folder, or `s3://BUCKET[/PREFIX]` with the usual AWS_ variables
    /// [default: blobs in the data folder]
    #[arg(long, env = "SOMA_MARKETPLACE_BLOBS", value_name = "URL")]
    pub blobs: Option<String>,

    /// A proxy in front ends TLS, so that listening on other than loopback is right
    #[arg(long, env = "SOMA_MARKETPLACE_BEHIND_PROXY")]
    pub behind_proxy: bool,

    /// Public key whose account may revoke anything, review and start recoveries, as `soma keys
    /// list` shows it; may be given more than once
    #[arg(
        long,
        env = "SOMA_MARKETPLACE_OPERATORS",
        value_name = "KEY",
        value_delimiter = ','
    )]
    pub operators: Vec<PublicKey>,

    /// Namespace that only operators may create; may be given more than once
    #[arg(
        long,
        env = "SOMA_MARKETPLACE_RESERVED",
        value_name = "NAMESPACE",
        value_delimiter = ','
    )]
    pub reserved: Vec<Name>,

    /// Witness that is asked to cosign every checkpoint, as KEY@URL; may be given more than once
    #[arg(
        long = "witness",
        env = "SOMA_MARKETPLACE_WITNESSES",
        value_name = "KEY@URL",
        value_delimiter = ','
    )]
    pub witnesses: Vec<Witness>,

    /// Publications that are looked at, at one time; further ones wait a minute for their turn, then
    /// get a 503. All that are on their way in take no more memory than twice as many files of the
    /// largest size, and a quarter of that from one address
    #[arg(long, env = "SOMA_MARKETPLACE_PUBLICATIONS", value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub publications: u16,

    /// Requests a minute that change something, from one address; further ones get a 429. Behind a
    /// proxy the address is the last one in `X-Forwarded-For`
    #[arg(
        long,
        env = "SOMA_MARKETPLACE_RATE",
        value_name = "N",
        default_value = "1200"
    )]
    pub rate: NonZeroU32,

    /// How components are compiled to be asked for their tools [default: this program]
    #[arg(skip)]
    pub compiler: Option<Compiler>,
}

impl Config {
    /// The data folder, absolute.
    pub(crate) fn data_folder(&self) -> anyhow::Result<PathBuf> {
        data_folder(self.data.as_deref(), "soma-marketplace")
    }
}

/// The folder that is given, or the one of this name among the user's data; absolute.
pub(crate) fn data_folder(given: Option<&Path>, name: &str) -> anyhow::Result<PathBuf> {
    let folder = match given {
        Some(folder) => folder.to_owned(),
        None => data_home()?.join(name),
    };
    std::path::absolute(folder).context("the data folder")
}

/// Where the XDG base directory specification has a user's data.
fn data_home() -> anyhow::Result<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    set("XDG_DATA_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .context("no data folder: set --data, or HOME")
}
