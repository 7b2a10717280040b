//! HTTP in, answer out: the service around `soma-runtime`.
//!
//! [`serve`] runs a host until it is told to stop; [`start`] gives one back that runs in this
//! process. Both take a [`Config`]. [`backup`] and [`restore`] take the [`Settings`] of one. `router.rs` has the whole API on one screen, `invoke.rs` the
//! story of one call: who is asking (`auth`), is there a place (`admission`), what is meant
//! (`catalog`), does the input fit (`input`), under which limits (`policy`), and only then the
//! guest runs.

mod accounting;
mod admission;
mod answers;
mod app;
mod audit;
mod auth;
mod backup;
mod believed;
mod body;
mod budget;
mod by_name;
mod catalog;
mod config;
mod consent;
mod db;
mod distrust;
mod edge;
mod error;
mod finished;
mod follow;
mod given;
mod grants;
mod input;
mod install;
mod invoke;
mod keep;
mod keepers;
mod key;
mod local_keys;
mod logs;
mod metrics;
mod names;
mod path;
mod policy;
mod problem;
mod rates;
mod receipt;
mod restored;
mod router;
mod routes;
mod secrets;
mod serve;
mod settings;
mod stores;
mod telemetry;
mod terms;
mod tls;
mod toolbox;
mod trace;
mod trust;
mod unread;
mod updates;
mod usage;
mod watches;

pub use app::is_in_use;
pub use audit::{is_erased, leaf};
pub use backup::{Backup, Interrupted, NoBackup, PutBack, Stop, Taken, backup, restore};
pub use config::{Config, DEFAULT_PORT, LogFormat, TlsFiles, default_data_folder};
pub use given::{Given, GivenError, GivenKeep, GivenLimits, GivenPrices, Named};
pub use input::{InvalidInput, check as check_input};
pub use keep::{Days, DaysError, Keep};
pub use keepers::GivenVault;
pub use key::{ApiKey, KeyError, PREFIX as KEY_PREFIX, is_id as is_key_id};
pub use local_keys::{DEFAULT_TENANT, KeptKey, SealedKey, write as write_local_key};
pub use problem::{InputError, Kind, TYPE_PREFIX};
pub use receipt::{Hashed, MAX_RECEIPT_BYTES, ProvenCall, Receipt, ReceiptError};
pub use serve::{Running, serve, start};
pub use settings::{COMPILE_COMMAND, Live, Reloaded, Settings};
pub use trust::{GivenTrust, WhenUnreachable};
