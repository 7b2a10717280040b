//! `soma key seal` and `unseal`: the admin key in the data folder, under a passphrase or not.

use std::io;
use std::path::PathBuf;

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{rotate, secret};
use crate::client::{Client, HostArgs, LocalKey, data_folder};
use crate::failure::Failure;
use crate::passphrase;
use crate::screen::Screen;

/// Keep the data folder's admin key under no passphrase again
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma key unseal")]
pub(crate) struct Unseal {
    /// The host's data folder [default: $XDG_DATA_HOME/soma or ~/.local/share/soma]
    #[arg(long, env = "SOMA_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Unseal {
    pub(super) fn run(self, screen: Screen) -> Result<(), Failure> {
        let id = data_folder(self.data)?.unseal_admin()?;
        screen.show(&json!({"unsealed": id}), |out| {
            writeln!(out, "under no passphrase any more: {id}")
        })
    }
}

/// The key gets a new secret on the way: the old one was on the disk, and in copies of it.
pub(super) async fn seal(host: HostArgs, screen: Screen) -> Result<(), Failure> {
    let client = Client::new(host, LocalKey::Admin)?;
    let folder = client.folder()?;
    let id = folder.admin_key()?.id().to_owned();
    let passphrase = passphrase::new("admin")?;
    // Between the two nobody has the new secret but this process.
    let _taken = take_signals()?;
    let key = rotate(&client, &id).await?;
    folder.seal(&secret(&key)?, passphrase).map_err(|failure| {
        failure.hint(
            "the key has a new secret all the same: move its file away, and the next start of \
             `soma serve` makes another key",
        )
    })?;
    screen.show(&json!({"sealed": id}), |out| {
        writeln!(out, "under a passphrase, with a new secret: {id}")
    })?;
    screen.aside("Nobody can tell you the passphrase: who forgets it moves the file away, and has `soma serve` make another key.");
    Ok(())
}

/// Has this process outlive what asks it to end, from now on.
fn take_signals() -> io::Result<[Signal; 3]> {
    Ok([
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    ])
}
