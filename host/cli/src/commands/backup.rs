//! `soma backup`: everything that a host keeps, in one file.

use std::io;
use std::path::{Path, PathBuf};

use soma_host::Taken;

use crate::commands::serve::settings;
use crate::failure::Failure;
use crate::screen::Screen;

/// Write everything that a host keeps into one file, while it runs
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma backup /backups/soma.tar
  soma backup --data /var/lib/soma --database postgres://soma@db/soma /backups/soma.tar
  soma backup - | age -r age1… > soma.tar.age

Run it on the host's machine, as its user, with the settings that `soma serve` has. Whoever has the file
has all that the host has: keys, credentials, stores. `soma restore` makes a host of it again.")]
pub(crate) struct Backup {
    /// The file, which must not be there; `-` is standard output
    file: PathBuf,

    #[command(flatten)]
    config: soma_host::Config,
}

impl Backup {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let settings = settings(&self.config)?;
        if self.file == Path::new("-") {
            let backup = soma_host::backup(&settings, None).await?;
            let said = said(&backup.taken);
            // Whoever read it and ended has no backup, which is not as in `soma list | head`.
            backup.copy_to(io::stdout().lock()).map_err(|error| {
                Failure::failed(format_args!(
                    "the backup was not written to its end: {error}"
                ))
            })?;
            screen.aside(&said);
            return Ok(());
        }
        let backup = soma_host::backup(&settings, Some(&self.file)).await?;
        let taken = backup.taken.clone();
        backup.keep(&self.file)?;
        screen.show(&taken, |out| {
            writeln!(out, "{}: {}", self.file.display(), said(&taken))
        })
    }
}

fn said(taken: &Taken) -> String {
    let Taken {
        tables,
        rows,
        capsules,
        records,
        bytes,
        ..
    } = taken;
    let key = if taken.has_secrets_key {
        ""
    } else {
        "; the key of --secrets-key is not in it"
    };
    format!(
        "{rows} rows of {tables} tables, {capsules} capsules, {records} records of the audit log, \
         {bytes} bytes{key}"
    )
}
